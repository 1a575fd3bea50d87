//! Ten thousand connections that ask nothing, and readers that never read: others don't notice, and memory is bounded.

use super::{
    Report,
    load::{block_on, ended, submit},
};
use crate::{Cluster, Gate, finished, memory_mib, ms, percentile, shell};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use wire::v1;

/// Connections for each unit of the row.
const CONNECTIONS: usize = 1_000;
/// Readers for each unit of the row.
const READERS: usize = 5;
/// What the task that nobody reads has written.
const OUTPUT_BYTES: usize = 100 << 20;
/// What a reader that never reads may cost the gateway or the scheduler: a few frames on each hop.
const READER_MIB: f64 = 3.0;
/// What the output itself may cost on its way through, whoever reads it: the room for what isn't stored yet, copies, the
/// page of a segment that is scanned, and what an allocator keeps of all that.
const OUTPUT_ITSELF_MIB: f64 = 96.0;
/// What an idle connection may cost the gateway: buffers of HTTP/2, before anything was asked.
const CONNECTION_KIB: f64 = 24.0;
/// Calls of others, while all that is open.
const CALLS: usize = 200;
/// What a client of HTTP/2 says first, and its empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// So many tasks share the output: readers of different ones share nothing.
const TASKS: usize = 5;

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = TASKS as u32 + 1;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let times = times as usize;
    let gate = Gate::new(cluster.dir(), "gate");
    let line = format!("{}; head -c {} /dev/zero | tr '\\0' x", gate.line(), OUTPUT_BYTES / TASKS);
    let spec = |n| v1::TaskSpec { idempotency_key: format!("much-{n}"), ..shell(&line) };
    let ids = block_on(async { submit(&cluster.client(), (0..TASKS).map(spec).collect()).await });
    gate.begun(TASKS);
    latencies(&cluster, "before", report);
    let mut memory = vec![("before", Memory::of(&cluster))];

    // Those that follow as it is written, and those that come when it is stored. Each half has its own runtime, which
    // turns no more once its streams are open: nothing is read, not even by the client's own buffers.
    let following = stalled(&cluster, &ids, times * READERS / 2);
    gate.open();
    let tasks = ended(&cluster, &ids);
    report.must(tasks.iter().all(|task| task.state == "completed"), || format!("{tasks:#?}"));
    memory.push(("following", Memory::of(&cluster)));
    let late = stalled(&cluster, &ids, times * READERS - times * READERS / 2);
    latencies(&cluster, "with_stalled_readers", report);
    memory.push(("stalled", Memory::of(&cluster)));
    let [before, .., stalled] = memory.as_slice() else { return };
    let grown =
        [("gateway", stalled.1.gateway - before.1.gateway), ("scheduler", stalled.1.scheduler - before.1.scheduler)];
    for (name, grown) in grown {
        let readers = (times * READERS) as f64;
        report.figure(&format!("mib_a_stalled_reader_{name}"), (grown / readers * 100.0).round() / 100.0);
        let limit = OUTPUT_ITSELF_MIB + readers * READER_MIB;
        report.must(grown < limit, || format!("{readers} stalled readers cost the {name} {grown:.0} MiB"));
    }
    drop((following, late));

    // A gateway of its own: what the readers have left behind must not hide what connections cost.
    cluster.kill_gateway();
    cluster.start_gateway();
    latencies(&cluster, "after_a_restart", report);
    let fresh = Memory::of(&cluster);
    let connections = open(&cluster, times * CONNECTIONS, report);
    let idle = Memory::of(&cluster);
    latencies(&cluster, "with_idle_connections", report);
    let each = (idle.gateway - fresh.gateway) * 1024.0 / (times * CONNECTIONS) as f64;
    report.figure("kib_a_connection", (each * 10.0).round() / 10.0);
    report.must(each < CONNECTION_KIB, || format!("an idle connection costs {each:.0} KiB"));
    drop(connections);
    report.tried(times * (CONNECTIONS + READERS));
    memory.extend([("fresh_gateway", fresh), ("idle_connections", idle)]);
    for (when, Memory { gateway, scheduler }) in memory {
        report.figure(&format!("rss_mib_{when}"), serde_json::json!({ "gateway": gateway, "scheduler": scheduler }));
    }
}

/// Resident memory of the services, in MiB.
#[derive(Clone, Copy)]
struct Memory {
    gateway: f64,
    scheduler: f64,
}

impl Memory {
    fn of(cluster: &Cluster) -> Self {
        let of = |process: &Option<crate::Process>| process.as_ref().map_or(0.0, |p| memory_mib(p, "VmRSS"));
        Self { gateway: of(&cluster.gateway), scheduler: of(&cluster.scheduler) }
    }
}

/// Half of them have greeted, half have not said a word.
fn open(cluster: &Cluster, count: usize, report: &mut Report) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        match TcpStream::connect_timeout(&cluster.gateway_address, Duration::from_secs(10)) {
            Ok(mut stream) => {
                let greeted = number.is_multiple_of(2).then(|| {
                    stream.write_all(PREFACE)?;
                    // Its settings are there: it has made room for us.
                    stream.read_exact(&mut [0; 9])
                });
                report.must(greeted.is_none_or(|done| done.is_ok()), || format!("connection {number} got no answer"));
                open.push(stream);
            }
            Err(error) => {
                return {
                    report.broken(format!("connection {number}: {error}"));
                    open
                };
            }
        }
    }
    open
}

/// What others see: a submit, and the end of what was submitted.
fn latencies(cluster: &Cluster, when: &str, report: &mut Report) {
    block_on(async {
        let gateway = cluster.client();
        let (mut submits, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let began = Instant::now();
            let accepted = gateway.clone().submit_task(shell("true")).await;
            submits.push(began.elapsed());
            let id = accepted.unwrap_or_else(|status| panic!("{when}: {status:?}")).into_inner().task_id;
            finished(&gateway, &id).await;
            ends.push(began.elapsed());
        }
        for (what, mut times) in [("submit", submits), ("end", ends)] {
            times.sort_unstable();
            let (p50, p99) = (ms(percentile(&times, 50)), ms(percentile(&times, 99)));
            report.figure(&format!("{what}_ms_{when}"), serde_json::json!({ "p50": p50, "p99": p99 }));
        }
    });
}

/// Readers that never read; they hang up when this is dropped.
struct Stalled {
    release: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.release = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the stalled readers failed");
    }
}

/// Opens stories and outputs, each on a connection of its own, and leaves it at that.
fn stalled(cluster: &Cluster, ids: &[String], count: usize) -> Stalled {
    let (address, ids) = (cluster.gateway_address, ids.to_vec());
    let (opened, all_open) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        block_on(async {
            let (mut stories, mut outputs) = (Vec::new(), Vec::new());
            for (number, id) in (0..count).zip(ids.iter().cycle()) {
                let mut gateway = crate::tasks::connect(address);
                if number.is_multiple_of(2) {
                    let request = v1::WatchTaskRequest { task_id: id.clone(), after: String::new(), output: true };
                    stories.push(gateway.watch_task(request).await.unwrap_or_else(|e| panic!("watch: {e:?}")));
                } else {
                    let (task_id, stream) = (id.clone(), v1::OutputStream::Stdout.into());
                    let request = v1::ReadOutputRequest { task_id, stream, follow: true, ..Default::default() };
                    outputs.push(gateway.read_output(request).await.unwrap_or_else(|e| panic!("read: {e:?}")));
                }
            }
            let _ = opened.send(());
            // Holds up the runtime on purpose, until the sender is dropped.
            let _ = released.recv();
        });
    });
    let _ = all_open.recv();
    Stalled { release: Some(release), thread: Some(thread) }
}
