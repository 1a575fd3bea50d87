//! Load with witnesses: a client that submits until it is told to stop and repeats until it is answered, tasks that leave
//! a line in a file when they run, and the accounts afterwards.

use super::Report;
use crate::{Cluster, Gateway, PATIENCE, away, eventually, witness};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use wire::v1;

/// Between two submits: a steady load that leaves the machine room.
const PAUSE: Duration = Duration::from_millis(30);
/// A submit that is not answered for so long never will be.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// A client in a thread of its own.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<String>>,
    witness: PathBuf,
}

impl Load {
    /// Submits batches of so many tasks, each of which runs so long.
    pub fn start(cluster: &Cluster, batch: usize, seconds: f64) -> Self {
        let witness = cluster.dir().join("witness");
        let (stop, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let line = format!("echo $BATON_TASK_ID $BATON_ATTEMPT >> {}; sleep {seconds}", witness.display());
        let (gateway, stopped, count) = (cluster.gateway_address, Arc::clone(&stop), Arc::clone(&accepted));
        let thread = std::thread::spawn(move || {
            block_on(async move {
                let gateway = crate::tasks::connect(gateway);
                let mut ids = Vec::new();
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = |n: usize| format!("load-{number}-{n}");
                    let spec = |n| v1::TaskSpec { idempotency_key: key(n), ..crate::shell(&line) };
                    ids.extend(submit(&gateway, (0..batch).map(spec).collect()).await);
                    count.store(ids.len(), Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                ids
            })
        });
        Self { stop, accepted, thread, witness }
    }

    /// How many tasks have been acknowledged so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until so many have been acknowledged.
    pub fn wait_for(&self, tasks: usize) {
        eventually("more tasks to be acknowledged", || (self.accepted() >= tasks).then_some(()));
    }

    /// Where the tasks leave their lines: id and attempt.
    pub fn witness(&self) -> &Path {
        &self.witness
    }

    /// Stops submitting; the ids of all that was acknowledged.
    ///
    /// # Panics
    /// If a submit failed for good.
    pub fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(ids) => ids,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Submits these tasks, which have keys, again and again until it is answered.
///
/// # Panics
/// If it is refused, or never answered.
pub(super) async fn submit(gateway: &Gateway, tasks: Vec<v1::TaskSpec>) -> Vec<String> {
    let began = Instant::now();
    loop {
        let request = v1::SubmitTasksRequest::from(tasks.clone());
        match gateway.clone().submit_tasks(request).await {
            Ok(response) => {
                let accepted = response.into_inner().accepted().unwrap_or_else(|error| panic!("submit: {error}"));
                return accepted.into_iter().map(|task| task.task_id).collect();
            }
            Err(status) => {
                assert!(away(&status) || is_unknown(&status), "submit: {status:?}");
                assert!(began.elapsed() < ANSWERED_WITHIN, "submit is never answered: {status:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_unknown(status: &tonic::Status) -> bool {
    wire::error(status).kind() == domain::Kind::Unknown
}

/// How tasks that ran once without a fault of their own must look: all completed, each with exactly one line.
pub(super) fn each_ran_once(cluster: &Cluster, ids: &[String], witness_file: &Path, report: &mut Report) {
    let ended = ended(cluster, ids);
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for line in witness(witness_file) {
        *runs.entry(line.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    report.tried(ids.len());
    report.lost(ids.iter().filter(|id| !runs.contains_key(*id)).count());
    report.duplicated(ids.iter().map(|id| runs.get(id).map_or(0, |count| count - 1)).sum());
    report.wrong(ended.iter().filter(|task| task.state != "completed").count());
    // An attempt whose order was lost on its way never began, and doesn't count.
    let begun = |task: &v1::Task| task.attempts.iter().filter(|attempt| attempt.started_at_ms != 0).count();
    report.figure("attempts_restarted", ended.iter().map(|task| begun(task).saturating_sub(1)).sum::<usize>());
}

/// Waits until all these tasks are final, as long as some still end; gives them.
///
/// # Panics
/// If one is gone, or nothing ends any more.
pub(super) fn ended(cluster: &Cluster, ids: &[String]) -> Vec<v1::Task> {
    block_on(async {
        let gateway = cluster.client();
        let (mut ended, mut last) = (Vec::with_capacity(ids.len()), Instant::now());
        for id in ids {
            loop {
                match gateway.clone().get_task(v1::GetTaskRequest { task_id: id.clone() }).await {
                    Ok(response) => {
                        let task = response.into_inner();
                        if task.finished_at_ms != 0 {
                            ended.push(task);
                            last = Instant::now();
                            break;
                        }
                        assert!(last.elapsed() < PATIENCE * 2, "never ends: {task:#?}");
                    }
                    Err(status) => assert!(away(&status), "an acknowledged task is gone: {id}: {status:?}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        ended
    })
}

/// Runs a row's asynchronous part.
///
/// # Panics
/// If there is no runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}")).block_on(future)
}
