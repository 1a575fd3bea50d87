//! A network that delays, resets, cuts messages in two and repeats them, between a worker and its scheduler.

use super::{
    Report,
    kill_scheduler::LongTasks,
    load::{Load, each_ran_once},
    proxy::{Mode, Proxy},
};
use crate::{Cluster, connected};
use std::time::{Duration, Instant};

/// What the network does, one after the other.
const MODES: [Mode; 4] = [Mode::Slow, Mode::Half, Mode::Twice, Mode::Fair];
/// How long it does so, in ms.
const MOMENTS_MS: std::ops::Range<u64> = 200..1_500;

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 8;
    cluster.start_scheduler();
    cluster.start_gateway();
    let proxy = Proxy::to(cluster.scheduler_address);
    let scheduler = std::mem::replace(&mut cluster.scheduler_address, proxy.address());
    (0..2).for_each(|index| cluster.start_worker(index));
    cluster.scheduler_address = scheduler;
    connected(&cluster, 2);
    let long = LongTasks::start(&cluster);
    let load = Load::start(&cluster, 4, 0.02);
    let mut resets = 0;
    for number in 0..times {
        proxy.set(MODES[number as usize % MODES.len()]);
        // A storm: connections are reset as soon as they are there.
        for _ in 0..report.draw(1..6) {
            std::thread::sleep(Duration::from_millis(report.draw(MOMENTS_MS) / 4));
            resets += proxy.reset();
        }
        proxy.set(Mode::Fair);
        // What was said twice may have left a connection that only looks well.
        resets += proxy.reset();
        let (began, before) = (Instant::now(), load.accepted());
        connected(&cluster, 2);
        load.wait_for(before + 1);
        report.recovered(began.elapsed());
    }
    long.open();
    let (witness, ids) = (load.witness().to_owned(), load.stop());
    each_ran_once(&cluster, &ids, &witness, report);
    long.account(&cluster, report);
    report.figure("connections_reset", resets);
}
