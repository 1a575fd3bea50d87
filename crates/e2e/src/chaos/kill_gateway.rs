//! `kill -9` of the gateway while it is read from and written to.

use super::{
    Report,
    kill_scheduler::LongTasks,
    load::{Load, block_on, each_ran_once},
    sha256,
};
use crate::{Cluster, Process, connected, eventually, story};
use std::{
    fs::File,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};
use wire::v1::task_event::Event;

/// Moments between two kills, in ms.
const MOMENTS_MS: std::ops::Range<u64> = 50..500;
/// A gateway holds no state: it is back as soon as it runs.
const BACK_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 8;
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
    let long = LongTasks::start(&cluster);
    let load = Load::start(&cluster, 5, 0.02);
    // As people read, and as programs do.
    let mut people: Vec<Process> = (0..long.ids.len()).map(|n| logs(&cluster, &long.ids[n], n)).collect();
    let programs: Vec<_> = long.ids.iter().map(|id| follow(&cluster, id.clone())).collect();
    eventually("all to read", || {
        (0..people.len()).all(|n| read(&cluster, n).metadata().is_ok_and(|m| m.len() > 0)).then_some(())
    });
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(report.draw(MOMENTS_MS)));
        cluster.kill_gateway();
        let began = Instant::now();
        cluster.start_gateway();
        connected(&cluster, 2);
        report.recovered(began.elapsed());
    }
    long.open();
    let (witness, ids) = (load.witness().to_owned(), load.stop());
    each_ran_once(&cluster, &ids, &witness, report);
    long.account(&cluster, report);
    report.tried(people.len() + programs.len());
    for (number, process) in people.iter_mut().enumerate() {
        let status = process.ended();
        report.must(status.success(), || format!("baton logs: {status}: {}", process.log()));
        let same = sha256::of_file(&read(&cluster, number)) == long.sha256(number);
        report.wrong(usize::from(!same));
    }
    for (number, program) in programs.into_iter().enumerate() {
        let bytes = program.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        report.wrong(usize::from(sha256::of_bytes(&bytes) != long.sha256(number)));
    }
    report.must_recover_within(BACK_WITHIN);
}

fn read(cluster: &Cluster, number: usize) -> PathBuf {
    cluster.dir().join(format!("read.{number}"))
}

/// `baton logs --follow` into a file.
fn logs(cluster: &Cluster, id: &str, number: usize) -> Process {
    let file = read(cluster, number);
    File::create(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    // The harness reads the stdout of what it starts, so it goes to the file by way of a shell.
    let mut command = Command::new("sh");
    let baton = cluster.baton(&[]).get_program().to_owned();
    command.args(["-c", "exec \"$0\" logs --follow \"$1\" > \"$2\""]).arg(baton).arg(id).arg(&file);
    command.env("BATON_GATEWAY", format!("http://{}", cluster.gateway_address));
    Process::start("logs", cluster.dir(), &mut command)
}

/// The story's output, resumed by hand whenever the stream breaks.
fn follow(cluster: &Cluster, id: String) -> std::thread::JoinHandle<Vec<u8>> {
    let gateway = cluster.gateway_address;
    std::thread::spawn(move || {
        let told = block_on(async { story(&crate::tasks::connect(gateway), &id, true).await });
        let output = told.into_iter().filter_map(|event| match event.event {
            Some(Event::Output(output)) => Some(output.data),
            Some(Event::State(_) | Event::Progress(_)) | None => None,
        });
        output.flatten().collect()
    })
}
