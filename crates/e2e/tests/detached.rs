//! Detached runs: tasks outlive their worker, its scheduler and its upgrade; what nobody takes is kept on disk or counted;
//! a dead keeper costs one attempt and no output; a worker that was given up ends what it holds before it takes more.
//!
//! Each row prints one line of JSON with its figures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gateway, Process, alive_under, eventually, finished, shell, skip, witness};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};
use tokio_stream::StreamExt;
use wire::v1;

/// One of a row's tasks writes so many numbers, a thousand at a time.
const NUMBERS: u32 = 60_000;

/// Writes its process id to `<dir>/pids`, then numbers from 1, for about a second and a half.
fn counting(dir: &Path) -> v1::TaskSpec {
    let line = "echo $$ >> DIR/pids; i=0; while [ $i -lt NUMBERS ]; do seq $((i+1)) $((i+1000)); i=$((i+1000)); sleep 0.02; done";
    shell(&line.replace("DIR", &dir.display().to_string()).replace("NUMBERS", &NUMBERS.to_string()))
}

fn counted() -> Vec<u8> {
    (1..=NUMBERS).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap().to_owned()
}

async fn submitted(cluster: &Cluster, spec: v1::TaskSpec) -> String {
    cluster.client().submit_task(spec).await.unwrap().into_inner().task_id
}

/// What is stored of an attempt's stdout: pieces with their offsets, and how many bytes are marked as dropped.
async fn pieces(gateway: &Gateway, id: &str, attempt: u32) -> (Vec<(u64, Vec<u8>)>, u64) {
    let request = v1::ReadOutputRequest {
        task_id: id.into(),
        stream: v1::OutputStream::Stdout.into(),
        attempt,
        ..Default::default()
    };
    let mut chunks = gateway.clone().read_output(request).await.unwrap().into_inner();
    let (mut pieces, mut dropped, mut end) = (Vec::new(), 0, 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.offset, end, "a gap or an overlap in the output of {id}");
        end += chunk.data.len() as u64 + chunk.dropped;
        dropped += chunk.dropped;
        pieces.push((chunk.offset, chunk.data.to_vec()));
    }
    (pieces, dropped)
}

/// The keeper of a worker's data directory.
fn keeper_of(dir: &Path) -> Pid {
    let named =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"baton-keeper"));
    let pid = eventually("a keeper", || alive_under(dir).into_iter().find(named));
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with(['Z', 'X']))
}

/// The lines of a file, once there are so many.
fn lines(file: &Path, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {}", file.display()), || Some(witness(file)).filter(|l| l.len() >= count))
}

/// Another build of the worker, as far as the system can tell: the same program with other bytes.
fn another_build(cluster: &Cluster) -> Process {
    let command = cluster.worker_command(0);
    let program = cluster.dir().join("another-worker");
    fs::copy(command.get_program(), &program).unwrap();
    fs::OpenOptions::new().append(true).open(&program).unwrap().write_all(b"another").unwrap();
    let mut other = Command::new(program);
    other.args(command.get_args()).current_dir(cluster.dir());
    let mut process = Process::start("w0", cluster.dir(), &mut other);
    process.listening();
    process
}

#[tokio::test]
async fn a_killed_and_upgraded_workers_tasks_go_on_as_if_nothing_had_happened() {
    const TASKS: usize = 6;
    let mut cluster = Cluster::empty();
    cluster.slots = 6;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        ids.push(submitted(&cluster, counting(cluster.dir())).await);
    }
    let pids = lines(&cluster.dir().join("pids"), TASKS);
    let keeper = keeper_of(&cluster.dir().join("w0"));
    let mut back = Vec::new();
    for kill in 0..4 {
        cluster.kill_worker(0);
        assert!(pids.iter().all(|pid| lives(pid)), "tasks don't end with their worker");
        let began = Instant::now();
        if kill == 2 {
            cluster.workers[0] = Some(another_build(&cluster));
        } else {
            cluster.start_worker(0);
        }
        back.push(e2e::ms(began.elapsed()));
    }
    assert_eq!(keeper_of(&cluster.dir().join("w0")), keeper, "one keeper for all of them");
    let (mut restarted, mut wrong) = (0, 0);
    let expected = sha256(&counted());
    for id in &ids {
        let task = finished(&cluster.client(), id).await;
        assert_eq!(task.state, "completed", "{task:#?}");
        restarted += task.attempts.len() - 1;
        let (pieces, dropped) = pieces(&cluster.client(), id, 0).await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|(_, data)| data).collect();
        wrong += usize::from(dropped > 0 || sha256(&bytes) != expected);
    }
    let ran = witness(&cluster.dir().join("pids")).len();
    println!(
        "{}",
        json!({"row": "kill -9 and upgrade of a worker under tasks", "kills": 4, "tasks": TASKS, "processes": ran,
            "attempts_restarted": restarted, "outputs_wrong": wrong, "sha256": expected, "back_ms": back})
    );
    assert_eq!((restarted, wrong, ran), (0, 0, TASKS));
}

#[tokio::test]
async fn a_dead_keepers_trees_are_swept_and_its_tasks_tried_once_more_with_their_output_kept() {
    const TASKS: usize = 4;
    let mut cluster = Cluster::empty();
    cluster.slots = 4;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let dir = cluster.dir().display().to_string();
    // The first attempt says who it is, leaves a child, and writes until it is ended; the second ends.
    let line = format!(
        "[ $BATON_ATTEMPT = 2 ] && exec echo second; setsid sleep 1000 & echo $$ $! >> {dir}/pids; \
         i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done"
    );
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        ids.push(submitted(&cluster, shell(&line)).await);
    }
    let pids = lines(&cluster.dir().join("pids"), TASKS);
    let pids: Vec<&str> = pids.iter().flat_map(|line| line.split(' ')).collect();
    let gateway = cluster.client();
    for id in &ids {
        // Its output arrives, so that the worker holds its pipes by now or a moment later.
        while pieces(&gateway, id, 1).await.0.iter().map(|(_, data)| data.len()).sum::<usize>() < 300 {}
    }
    let keeper = keeper_of(&cluster.dir().join("w0"));
    let began = Instant::now();
    kill_process(keeper, Signal::KILL).unwrap();
    let (mut again, mut bytes) = (0, 0);
    for id in &ids {
        let task = finished(&gateway, id).await;
        assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 2), "{task:#?}");
        again += task.attempts.len() - 1;
        let first = eventually_whole(&gateway, id).await;
        bytes += first.len();
    }
    let recovery = e2e::ms(began.elapsed());
    let survivors = pids.iter().filter(|pid| lives(pid)).count();
    println!(
        "{}",
        json!({"row": "kill -9 of the keeper", "tasks": TASKS, "tried_again": again, "survivors": survivors,
            "bytes_of_lost_attempts_kept": bytes, "recovery_ms": recovery})
    );
    assert_eq!((survivors, again), (0, TASKS));
}

/// The lost attempt's output: lines from 1 on, each byte where it belongs. What the keeper had read and not yet passed on
/// when it was killed is missing, and counted.
async fn eventually_whole(gateway: &Gateway, id: &str) -> Vec<u8> {
    let (pieces, dropped) = pieces(gateway, id, 1).await;
    let written: String = (1..100_000).map(|n| format!("{n}\n")).collect();
    for (offset, data) in &pieces {
        let offset = usize::try_from(*offset).unwrap();
        assert_eq!(written.as_bytes()[offset..offset + data.len()], **data, "at {offset}, {dropped} bytes dropped");
    }
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|(_, data)| data).collect();
    assert!(bytes.iter().filter(|byte| **byte == b'\n').count() > 50, "{dropped} bytes dropped");
    bytes
}

#[tokio::test]
async fn a_timeout_holds_with_worker_and_scheduler_gone_and_is_told_when_they_are_back() {
    let mut cluster = Cluster::start(1);
    let dir = cluster.dir().display().to_string();
    let timed = |line: &str| v1::TaskSpec { timeout_secs: 2, ..shell(line) };
    let late = format!("trap '' TERM; echo before; echo $$ >> {dir}/late; while :; do sleep 0.1; done");
    let in_time = format!("echo $$ >> {dir}/in-time; sleep 1; echo done; exit 5");
    let (late, in_time) = (submitted(&cluster, timed(&late)).await, submitted(&cluster, timed(&in_time)).await);
    let pids = [lines(&cluster.dir().join("late"), 1), lines(&cluster.dir().join("in-time"), 1)].concat();
    cluster.worker_args = vec!["--kill-grace".into(), "1s".into()];
    cluster.kill_scheduler();
    cluster.kill_worker(0);
    eventually("the keeper to end both", || pids.iter().all(|pid| !lives(pid)).then_some(()));
    cluster.start_worker(0);
    cluster.start_scheduler();
    let (late, in_time) = (finished(&cluster.client(), &late).await, finished(&cluster.client(), &in_time).await);
    println!(
        "{}",
        json!({"row": "timeout with worker and scheduler gone", "states": [late.state, in_time.state],
            "attempts": [late.attempts.len(), in_time.attempts.len()], "exit_code": in_time.exit_code})
    );
    assert_eq!((late.state.as_str(), late.attempts.len()), ("timed_out", 1), "{late:#?}");
    assert_eq!((in_time.state.as_str(), in_time.exit_code, in_time.attempts.len()), ("failed", Some(5), 1));
}

#[tokio::test]
async fn a_worker_stopped_past_lost_after_ends_what_it_holds_before_it_takes_more() {
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = ["--lost-after", "1s"].map(Into::into).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let dir = cluster.dir().display().to_string();
    let waits = |name: &str| {
        shell(&format!("echo $$ >> {dir}/{name}; until [ -e {dir}/{name}.$BATON_ATTEMPT ]; do sleep 0.02; done"))
    };
    // One runs on while its worker stands still, the other ends meanwhile: its report comes too late.
    let (runs, ends) = (submitted(&cluster, waits("runs")).await, submitted(&cluster, waits("ends")).await);
    let first = [lines(&cluster.dir().join("runs"), 1), lines(&cluster.dir().join("ends"), 1)].concat();
    let keeper = keeper_of(&cluster.dir().join("w0"));
    let stopped = Instant::now();
    cluster.workers[0].as_ref().unwrap().signal(Signal::STOP);
    kill_process(keeper, Signal::STOP).unwrap();
    fs::write(cluster.dir().join("ends.1"), "").unwrap();
    cluster.start_worker(1);
    lines(&cluster.dir().join("runs"), 2);
    lines(&cluster.dir().join("ends"), 2);
    let given_up = e2e::ms(stopped.elapsed());
    for name in ["runs.2", "ends.2"] {
        fs::write(cluster.dir().join(name), "").unwrap();
    }
    let tasks = [finished(&cluster.client(), &runs).await, finished(&cluster.client(), &ends).await];
    assert!(lives(&first[0]), "nobody could end it yet");
    // What it takes first says whether the other is gone.
    let says = shell(&format!("kill -0 {} 2> {dir}/null && echo lives || echo gone", first[0]));
    let next = submitted(&cluster, v1::TaskSpec { worker: "w0".into(), ..says }).await;
    kill_process(keeper, Signal::CONT).unwrap();
    cluster.workers[0].as_ref().unwrap().signal(Signal::CONT);
    let back = Instant::now();
    let (_, said) = e2e::finished_with_output(&cluster.client(), &next).await;
    let contact = e2e::ms(back.elapsed());
    // Metrics are a moment behind.
    let refused = eventually("both reports of what was given up to be refused", || {
        let by_reason = e2e::metrics(cluster.scheduler_address, "baton_reports_refused_total");
        let refused: f64 = by_reason.into_iter().map(|(_, count)| count).sum();
        (refused >= 2.0).then_some(refused)
    });
    let after = [finished(&cluster.client(), &runs).await, finished(&cluster.client(), &ends).await];
    println!(
        "{}",
        json!({"row": "SIGSTOP of a worker past lost_after, then SIGCONT", "given_up_after_ms": given_up,
            "refused": refused, "tree_gone_before_new_work": said == b"gone\n", "new_work_done_ms": contact,
            "attempts": after.iter().map(|t| t.attempts.len()).collect::<Vec<_>>()})
    );
    assert_eq!(String::from_utf8_lossy(&said), "gone\n");
    assert!(after == tasks, "final is final: {after:#?}");
    assert!(tasks.iter().all(|task| (task.state.as_str(), task.attempts.len()) == ("completed", 2)), "{tasks:#?}");
}

/// A file system of so many MiB at a directory, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: PathBuf, mib: u32) -> Option<Self> {
        fs::create_dir_all(&dir).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&dir).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_under_the_spool_costs_counted_bytes_and_no_result_and_heals() {
    const WRITTEN: u64 = 64 * 1024 * 1024;
    const MEANWHILE: u64 = 12 * 1024 * 1024;
    let mut cluster = Cluster::empty();
    let Some(_disk) = SmallDisk::mount(cluster.dir().join("w0"), 24) else {
        return skip("no file system can be mounted here");
    };
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let dir = cluster.dir().display().to_string();
    let writes = |name: &str, bytes: u64| {
        let line = "touch DIR/NAME.begun; until [ -e DIR/NAME.gate ]; do sleep 0.02; done; \
            yes 1234567 | head -c BYTES; touch DIR/NAME.done; exit 7";
        shell(&line.replace("DIR", &dir).replace("NAME", name).replace("BYTES", &bytes.to_string()))
    };
    let mut rows = Vec::new();
    // The first fills the disk; the second shows that it has room again.
    for (name, bytes) in [("full", WRITTEN), ("healed", MEANWHILE)] {
        let id = submitted(&cluster, writes(name, bytes)).await;
        eventually("it to begin", || cluster.dir().join(format!("{name}.begun")).exists().then_some(()));
        cluster.kill_scheduler();
        // The worker must have noticed, or the task waits for its window.
        eventually("the worker to notice", || {
            cluster.workers[0].as_ref().unwrap().log().matches("Waiting for the scheduler").nth(rows.len()).map(|_| ())
        });
        fs::write(cluster.dir().join(format!("{name}.gate")), "").unwrap();
        eventually("it to have written all", || cluster.dir().join(format!("{name}.done")).exists().then_some(()));
        let keeper =
            fs::read_to_string(format!("/proc/{}/status", keeper_of(&cluster.dir().join("w0")).as_raw_nonzero()));
        let memory = keeper.unwrap().lines().find_map(|l| Some(l.strip_prefix("VmRSS:")?.trim().to_owned()));
        cluster.start_scheduler();
        let task = finished(&cluster.client(), &id).await;
        assert_eq!((task.state.as_str(), task.exit_code, task.attempts.len()), ("failed", Some(7), 1), "{task:#?}");
        let (pieces, dropped) = pieces(&cluster.client(), &id, 0).await;
        let kept: u64 = pieces.iter().map(|(_, data)| data.len() as u64).sum();
        let right = |(at, data): &(u64, Vec<u8>)| {
            data.iter().zip(*at..).all(|(byte, at)| b"1234567\n"[(at % 8) as usize] == *byte)
        };
        assert!(pieces.iter().all(right), "{name}: bytes that were never written there");
        assert_eq!((kept + dropped, task.attempts[0].stdout_bytes), (bytes, bytes), "{name}");
        rows.push(json!({"written": bytes, "kept": kept, "dropped_and_counted": dropped, "exit_code": task.exit_code,
            "keeper_rss": memory}));
    }
    println!("{}", json!({"row": "disk full on spool", "disk_mib": 24, "runs": rows}));
    assert!(rows[0]["dropped_and_counted"].as_u64() > Some(WRITTEN / 3), "{rows:#?}");
    assert_eq!(rows[1]["dropped_and_counted"], 0, "it heals: {rows:#?}");
}
