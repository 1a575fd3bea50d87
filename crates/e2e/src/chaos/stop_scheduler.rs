//! SIGSTOP of the scheduler past everything that it measures in time, then SIGCONT: a process that slept must not take its
//! own sleep for the silence of others.

use super::{
    Report,
    kill_scheduler::LongTasks,
    load::{Load, each_ran_once},
};
use crate::{Cluster, Process, connected, eventually};
use rustix::process::Signal;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Out of contact, attempts are lost so soon.
const LOST_AFTER: &str = "1s";
/// In a short run it sleeps past that …
const SHORT: Duration = Duration::from_secs(3);
/// … in a long one past the 15 s after which contact ends, too.
const LONG: Duration = Duration::from_secs(18);

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 8;
    cluster.scheduler_args = ["--lost-after", LOST_AFTER].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
    let long = LongTasks::start(&cluster);
    let load = Load::start(&cluster, 5, 0.02);
    let signal = |cluster: &Cluster, signal| cluster.scheduler.iter().for_each(|process| process.signal(signal));
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(report.draw(50..500)));
        signal(&cluster, Signal::STOP);
        let slept = Instant::now();
        // It holds its store even asleep: nobody can take its place by accident.
        report.refused(usize::from(is_refused(&cluster)));
        std::thread::sleep(if times > 1 { LONG } else { SHORT }.saturating_sub(slept.elapsed()));
        signal(&cluster, Signal::CONT);
        let (began, before) = (Instant::now(), load.accepted());
        connected(&cluster, 2);
        load.wait_for(before + 1);
        report.recovered(began.elapsed());
    }
    long.open();
    let (witness, ids) = (load.witness().to_owned(), load.stop());
    each_ran_once(&cluster, &ids, &witness, report);
    long.account(&cluster, report);
}

/// A second scheduler on the same data.
fn is_refused(cluster: &Cluster) -> bool {
    let mut command = Command::new(crate::binary("scheduler"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(cluster.data_dir()).current_dir(cluster.dir());
    let mut second = Process::start("second", cluster.dir(), &mut command);
    !eventually("the second scheduler to be refused", || second.has_ended().then(|| second.ended())).success()
}
