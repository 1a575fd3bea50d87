//! Everything killed at once, at a random moment, as by a power cut: services, keepers, and mostly the tasks too.

use super::{
    Report,
    load::{Load, block_on, ended},
};
use crate::{Cluster, alive_under, connected, witness};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};
use wire::v1;

/// Moments between two deaths, in ms.
const MOMENTS_MS: std::ops::Range<u64> = 100..900;
/// Every so manieth time the tasks survive as orphans, for the next keeper to find.
const ORPHANS_EVERY: u64 = 3;

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 4;
    start(&mut cluster);
    let load = Load::start(&cluster, 4, 0.05);
    let mut settled: BTreeMap<String, v1::Task> = BTreeMap::new();
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(report.draw(MOMENTS_MS)));
        settled.extend(newest_final(&cluster));
        let orphans = report.draw(0..ORPHANS_EVERY) == 0;
        kill_all(&mut cluster, orphans);
        let began = Instant::now();
        start(&mut cluster);
        connected(&cluster, 2);
        report.recovered(began.elapsed());
    }
    let (file, ids) = (load.witness().to_owned(), load.stop());
    let tasks = ended(&cluster, &ids);
    report.tried(ids.len());
    let lines = witness(&file);
    let ran: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    report.lost(ids.iter().filter(|id| !ran.contains(id.as_str())).count());
    // The same attempt never begins twice; another one of the task may, when the first died with its keeper.
    let attempts: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    report.duplicated(lines.len() - attempts.len());
    report.wrong(tasks.iter().filter(|task| task.state != "completed").count());
    let changed = tasks.iter().filter(|task| settled.get(&task.task_id).is_some_and(|before| before != *task));
    report.wrong(changed.count());
    let known = total(&cluster);
    report.must(known == ids.len() as u64, || format!("{} were acknowledged, {known} are there", ids.len()));
    report.figure("final_before_a_kill", settled.len());
    report.figure("attempts_lost_and_repeated", attempts.len() - ran.len());
}

fn start(cluster: &mut Cluster) {
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
}

/// All at once, as far as that can be done from outside.
fn kill_all(cluster: &mut Cluster, orphans: bool) {
    let tasks_too = !orphans;
    let programs = [b"scheduler".as_slice(), b"gateway", b"worker", b"baton-keeper"];
    let is_service = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        programs.iter().any(|program| name.starts_with(program))
    };
    loop {
        let mut alive = alive_under(cluster.dir());
        alive.retain(|pid| tasks_too || is_service(*pid));
        if alive.is_empty() {
            break;
        }
        for pid in alive.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).unwrap_or(0))) {
            // It may be gone already.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    (cluster.scheduler, cluster.gateway) = (None, None);
    cluster.workers.clear();
}

/// Tasks that are final now: they must be found exactly so for ever.
fn newest_final(cluster: &Cluster) -> BTreeMap<String, v1::Task> {
    block_on(async {
        let gateway = cluster.client();
        let request = v1::ListTasksRequest { page_size: 100, ..Default::default() };
        let page = match gateway.clone().list_tasks(request).await {
            Ok(response) => response.into_inner().tasks,
            Err(status) => panic!("list: {status:?}"),
        };
        let mut found = BTreeMap::new();
        for task in page.into_iter().filter(|task| task.finished_at_ms != 0).take(20) {
            let request = v1::GetTaskRequest { task_id: task.task_id };
            let task = gateway.clone().get_task(request).await;
            let task = task.unwrap_or_else(|status| panic!("get: {status:?}")).into_inner();
            found.insert(task.task_id.clone(), task);
        }
        found
    })
}

/// How many tasks the scheduler counts.
fn total(cluster: &Cluster) -> u64 {
    let queues = block_on(async { cluster.client().list_queues(v1::ListQueuesRequest {}).await });
    let queues = queues.unwrap_or_else(|status| panic!("queues: {status:?}")).into_inner().queues;
    let counts = queues.into_iter().filter_map(|queue| queue.tasks).map(|counts| {
        let v1::TaskCounts { delayed, queued, backing_off, dispatched, running, .. } = counts;
        let v1::TaskCounts { cancelling, completed, failed, timed_out, cancelled, .. } = counts;
        delayed + queued + backing_off + dispatched + running + cancelling + completed + failed + timed_out + cancelled
    });
    counts.sum()
}
