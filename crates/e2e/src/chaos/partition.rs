//! A worker cut off from its scheduler: both ways, one way, by silence and by resets, for less than it takes to be lost
//! and for more.

use super::{
    Report,
    load::{Load, ended},
    network::{Cable, Cut, SERVICES},
};
use crate::{Cluster, Process, connected, metric, witness};
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

/// The ways to cut.
const CUTS: [Cut; 4] = [Cut::Both, Cut::ToWorker, Cut::FromWorker, Cut::Reset];
/// A cut that is over before contact ends, in ms.
const SHORT_MS: std::ops::Range<u64> = 300..3_000;
/// Contact ends after 15 s of silence; then this long until the attempts are lost; a long cut outlasts both.
const LOST_AFTER: &str = "2s";
const LONG: Duration = Duration::from_secs(20);
/// Every so manieth cut is a long one.
const LONG_EVERY: u32 = 4;

pub(super) fn run(times: u32, report: &mut Report) {
    let Some(cable) = Cable::lay() else { return report.skip("no network namespaces or no iptables") };
    // A thread of its own: it moves into the services' network and never comes back.
    thread::scope(|scope| {
        let row = scope.spawn(|| {
            cable.enter().unwrap_or_else(|error| panic!("cannot enter the network: {error}"));
            cut_off(&cable, times, report);
        });
        if let Err(panic) = row.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn cut_off(cable: &Cable, times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 4;
    cluster.scheduler_args = ["--insecure", "--lost-after", LOST_AFTER].map(str::to_owned).to_vec();
    cluster.scheduler_address.set_ip(SERVICES.parse().unwrap_or_else(|error| panic!("{SERVICES}: {error}")));
    cluster.start_scheduler();
    cluster.start_gateway();
    let command = cluster.worker_command(0);
    let mut worker = Process::start("w0", cluster.dir(), &mut cable.at_the_worker(&command));
    worker.listening();
    connected(&cluster, 1);
    let load = Load::start(&cluster, 2, 0.1);
    let mut long_cuts = 0;
    for number in 0..times {
        thread::sleep(Duration::from_millis(report.draw(200..800)));
        let cut = CUTS[report.draw(0..CUTS.len() as u64) as usize];
        // In a short run, none: it would be a test of half a minute.
        let long = number % LONG_EVERY == LONG_EVERY - 1;
        long_cuts += u32::from(long);
        cable.cut(cut);
        thread::sleep(if long { LONG } else { Duration::from_millis(report.draw(SHORT_MS)) });
        cable.join();
        let began = Instant::now();
        let before = load.accepted();
        connected(&cluster, 1);
        load.wait_for(before + 1);
        report.recovered(began.elapsed());
    }
    let (file, ids) = (load.witness().to_owned(), load.stop());
    let tasks = ended(&cluster, &ids);
    let lines = witness(&file);
    let attempts: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    let ran: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    report.tried(ids.len());
    report.lost(ids.iter().filter(|id| !ran.contains(id.as_str())).count());
    report.duplicated(lines.len() - attempts.len());
    report.wrong(tasks.iter().filter(|task| task.state != "completed").count());
    let restarted = attempts.len() - ran.len();
    report.figure("attempts_restarted", restarted);
    report.figure("long_cuts", long_cuts);
    report.figure("reports_refused", metric(cluster.scheduler_address, "baton_reports_refused_total"));
    report.must(long_cuts > 0 || restarted == 0, || "an attempt was restarted though contact never ended".into());
}
