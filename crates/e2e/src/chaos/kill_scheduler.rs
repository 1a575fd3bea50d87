//! `kill -9` of the scheduler, again and again, under load and with tasks that run all the while.

use super::{
    Report,
    load::{Load, block_on, each_ran_once, ended, submit},
    sha256,
};
use crate::{Cluster, connected, eventually, output_of, story};
use std::{
    net::SocketAddr,
    path::PathBuf,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use wire::v1;

/// A scheduler that was killed is at work again within this.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// Tasks that run from the first kill to the last.
const LONG: usize = 6;
/// A row of kills is at random moments of this length, in ms.
const MOMENTS_MS: std::ops::Range<u64> = 50..500;

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.slots = 8;
    cluster.start_scheduler();
    cluster.start_gateway();
    (0..2).for_each(|index| cluster.start_worker(index));
    let long = LongTasks::start(&cluster);
    let load = Load::start(&cluster, 5, 0.02);
    let watchers: Vec<_> = long.ids.iter().map(|id| watch(cluster.gateway_address, id.clone())).collect();
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(report.draw(MOMENTS_MS)));
        cluster.kill_scheduler();
        let began = Instant::now();
        cluster.start_scheduler();
        connected(&cluster, 2);
        report.recovered(began.elapsed());
    }
    long.open();
    let (witness, ids) = (load.witness().to_owned(), load.stop());
    each_ran_once(&cluster, &ids, &witness, report);
    long.account(&cluster, report);
    let mut followed = 0;
    for watcher in watchers {
        let told = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        report.wrong(told.iter().zip(1_u64..).filter(|(event, number)| event.sequence != *number).count());
        followed += told.len();
    }
    report.figure("events_followed", followed);
    report.must_recover_within(BACK_WITHIN);
}

/// Follows a task's story to its end, in a thread of its own.
fn watch(gateway: SocketAddr, id: String) -> JoinHandle<Vec<v1::TaskEvent>> {
    std::thread::spawn(move || block_on(async { story(&crate::tasks::connect(gateway), &id, true).await }))
}

/// Tasks that print until a gate opens, and write the same into a file.
pub(super) struct LongTasks {
    pub ids: Vec<String>,
    copies: Vec<PathBuf>,
    gate: PathBuf,
}

impl LongTasks {
    pub fn start(cluster: &Cluster) -> Self {
        let gate = cluster.dir().join("long.gate");
        let copies: Vec<PathBuf> = (0..LONG).map(|n| cluster.dir().join(format!("long.{n}"))).collect();
        let line = |copy: &PathBuf| {
            let (gate, copy) = (gate.display(), copy.display());
            format!(
                "n=0; until [ -e {gate} ]; do n=$((n+1)); echo \"line $n of $BATON_TASK_ID\"; sleep 0.01; done | tee -a {copy}"
            )
        };
        let keyed = |(n, copy)| v1::TaskSpec { idempotency_key: format!("long-{n}"), ..crate::shell(&line(copy)) };
        let specs = copies.iter().enumerate().map(keyed).collect();
        let ids = block_on(async { submit(&cluster.client(), specs).await });
        eventually("the long tasks to begin", || copies.iter().all(|copy| copy.exists()).then_some(()));
        Self { ids, copies, gate }
    }

    /// Lets them end.
    pub fn open(&self) {
        std::fs::write(&self.gate, "").unwrap_or_else(|error| panic!("{}: {error}", self.gate.display()));
    }

    /// Of what one of them wrote.
    pub fn sha256(&self, number: usize) -> String {
        sha256::of_file(&self.copies[number])
    }

    /// One attempt each, and every byte that they wrote.
    pub fn account(&self, cluster: &Cluster, report: &mut Report) {
        let tasks = ended(cluster, &self.ids);
        report.tried(tasks.len());
        report.wrong(tasks.iter().filter(|task| task.state != "completed").count());
        report.figure("long_attempts_restarted", tasks.iter().map(|task| task.attempts.len() - 1).sum::<usize>());
        report.must(tasks.iter().all(|task| task.attempts.len() == 1), || "a long task was restarted".into());
        let mut bytes = 0;
        for (id, copy) in self.ids.iter().zip(&self.copies) {
            let output = block_on(async { output_of(&cluster.client(), id, v1::OutputStream::Stdout).await });
            bytes += output.len();
            report.wrong(usize::from(sha256::of_bytes(&output) != sha256::of_file(copy)));
        }
        report.figure("long_output_bytes", bytes);
    }
}
