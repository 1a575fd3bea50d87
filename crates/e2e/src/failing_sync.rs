//! A scheduler whose n-th sync of each thread fails with EIO, under a scripted run; then what it answered is compared with
//! what a sound one finds in its store (GUARANTEES G6). Nothing that was acknowledged may be missing, nothing that was
//! refused may be there; what was left open may be either.

use crate::{Cluster, Process, finished, output_of, shell};
use domain::Kind;
use std::collections::BTreeMap;
use std::process::Command;
use wire::v1;

/// Every so manieth has more output than travels with a result: it goes through the output store.
const LARGE_EVERY: usize = 6;
const LARGE_BYTES: usize = 100_000;
/// Every so manieth is cancelled at once.
const CANCEL_EVERY: usize = 7;
/// Every so manieth has so large an input that the log is copied back in the middle of the script.
const BULKY_EVERY: usize = 4;
const BULKY_BYTES: usize = 900_000;

/// What became of a script.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SyncScript {
    /// Which sync failed, of each thread.
    pub n: u32,
    /// Submits that were acknowledged, refused, and left open.
    pub acknowledged: usize,
    /// Refused for certain.
    pub refused: usize,
    /// Neither.
    pub unknown: usize,
    /// Times that the scheduler began anew from its store.
    pub reigns: usize,
    /// Answers that the store contradicts.
    pub wrong: Vec<String>,
}

enum Answer {
    Accepted(String),
    Refused(String),
    Unknown,
}

/// Runs the script with the `n`-th sync of each thread failing, on a cluster of its own: so many tasks, one after the other,
/// each of which is a commit of its own, and one or two more until its end. `None`: strace isn't there.
pub async fn failing_sync(n: u32, tasks: usize) -> Option<SyncScript> {
    Command::new("strace").arg("--version").output().ok().filter(|output| output.status.success())?;
    let mut cluster = Cluster::empty();
    cluster.start_gateway();
    start(&mut cluster, n);
    cluster.start_worker(0);
    let answers = script(&cluster, tasks).await;
    let log = cluster.scheduler.as_ref().map(Process::log).unwrap_or_default();
    cluster.kill_scheduler();
    cluster.scheduler_prefix.clear();
    cluster.start_scheduler();
    let mut done = SyncScript { n, reigns: log.matches("Store opened").count(), ..SyncScript::default() };
    judge(&cluster, answers, &mut done).await;
    Some(done)
}

/// A scheduler that already fails at its start says so and ends; then one that is let be takes its place.
fn start(cluster: &mut Cluster, n: u32) {
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={n}");
    // The tracer is a process apart: the scheduler is our child, as ever.
    let strace = ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"];
    cluster.scheduler_prefix = strace.map(str::to_owned).to_vec();
    cluster.scheduler_prefix.push(inject);
    let mut first = Process::start("scheduler", cluster.dir(), &mut cluster.scheduler_command());
    match first.listening_or_ended() {
        Some(address) => {
            cluster.scheduler_address = address;
            cluster.scheduler = Some(first);
        }
        None => {
            assert!(first.log().contains("error: "), "it ended without a word: {}", first.log());
            cluster.scheduler_prefix.clear();
            cluster.start_scheduler();
        }
    }
}

/// Submits, and cancels some. Gives for each task its answer, and whether a cancel was acknowledged.
async fn script(cluster: &Cluster, tasks: usize) -> Vec<(Answer, bool)> {
    let mut gateway = cluster.client();
    let mut answers = Vec::new();
    for index in 0..tasks {
        let mut spec = shell(&line(index));
        spec.name = name(index);
        if index % BULKY_EVERY == 0
            && let Some(v1::task_spec::Run::Shell(run)) = &mut spec.run
        {
            run.stdin = vec![b'x'; BULKY_BYTES];
        }
        let answer = match gateway.submit_task(spec).await {
            Ok(accepted) => Answer::Accepted(accepted.into_inner().task_id),
            Err(status) => match wire::error(&status).kind() {
                Kind::Unknown => Answer::Unknown,
                Kind::Invalid
                | Kind::NotFound
                | Kind::Conflict
                | Kind::Precondition
                | Kind::Exhausted
                | Kind::Unavailable
                | Kind::Unauthenticated
                | Kind::Denied
                | Kind::DataLoss
                | Kind::Internal => Answer::Refused(status.message().to_owned()),
            },
        };
        let mut cancelled = false;
        if let Answer::Accepted(task_id) = &answer
            && is_cancelled(index)
        {
            let request = v1::CancelTaskRequest { task_id: task_id.clone(), ..Default::default() };
            cancelled = gateway.cancel_task(request).await.is_ok();
        }
        answers.push((answer, cancelled));
    }
    answers
}

fn name(index: usize) -> String {
    format!("script-{index}")
}

fn is_cancelled(index: usize) -> bool {
    index % CANCEL_EVERY == 3
}

fn line(index: usize) -> String {
    if is_cancelled(index) {
        return "sleep 600".into();
    }
    if index % LARGE_EVERY == 1 { format!("head -c {LARGE_BYTES} /dev/zero") } else { format!("echo {index}") }
}

async fn judge(cluster: &Cluster, answers: Vec<(Answer, bool)>, done: &mut SyncScript) {
    let gateway = cluster.client();
    let listed = gateway.clone().list_tasks(v1::ListTasksRequest { page_size: 1_000, ..Default::default() }).await;
    let tasks = listed.unwrap_or_else(|status| panic!("list: {status:?}")).into_inner().tasks;
    let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for task in tasks {
        there.entry(task.spec.map(|spec| spec.name).unwrap_or_default()).or_default().push(task.task_id);
    }
    for (index, (answer, cancelled)) in answers.into_iter().enumerate() {
        let found = there.remove(&name(index)).unwrap_or_default();
        match &answer {
            Answer::Accepted(id) if found == [id.clone()] => done.acknowledged += 1,
            Answer::Accepted(id) => done.wrong.push(format!("{index}: {id} was acknowledged, there is {found:?}")),
            Answer::Refused(_) if found.is_empty() => done.refused += 1,
            Answer::Refused(why) => done.wrong.push(format!("{index}: refused ({why}), and there is {found:?}")),
            Answer::Unknown if found.len() <= 1 => done.unknown += 1,
            Answer::Unknown => done.wrong.push(format!("{index}: there twice: {found:?}")),
        }
        for id in found {
            if is_cancelled(index) && !cancelled {
                // Nobody was told that it is cancelled: it may run for ten minutes.
                let request = v1::CancelTaskRequest { task_id: id.clone(), ..Default::default() };
                let _ = gateway.clone().cancel_task(request).await;
            }
            let task = finished(&gateway, &id).await;
            let bytes = output_of(&gateway, &id, v1::OutputStream::Stdout).await;
            let wanted = if is_cancelled(index) { "cancelled" } else { "completed" };
            let starts = task.attempts.iter().filter(|attempt| attempt.started_at_ms != 0).count();
            if task.state != wanted || starts > 1 || !is_output(index, &bytes) {
                done.wrong.push(format!("{index}: {} after {starts} starts, {} bytes", task.state, bytes.len()));
            }
        }
    }
    done.wrong.extend(there.into_iter().map(|(name, ids)| format!("{name}: {ids:?} were never submitted")));
}

fn is_output(index: usize, bytes: &[u8]) -> bool {
    if is_cancelled(index) {
        return bytes.is_empty();
    }
    if index % LARGE_EVERY == 1 {
        bytes.len() == LARGE_BYTES && bytes.iter().all(|byte| *byte == 0)
    } else {
        bytes == format!("{index}\n").as_bytes()
    }
}
