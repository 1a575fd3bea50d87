//! A Python worker and a Rust one share 2,000 handler tasks, and one of them is killed halfway.

use crate::python::{gate_file, python, witness_file};
use e2e::{Cluster, Gateway, Process, binary, connected, finished, handler, ran, skip, witness};
use std::{collections::BTreeSet, fs, process::Command};
use wire::v1;

/// Tasks that run at once, and tasks that are held until the kill: 2,000 in all.
const HALF: usize = 1_000;

/// The Rust worker, with the same data as before.
pub fn rust_worker(cluster: &Cluster, name: &str) -> Process {
    let mut command = Command::new(binary("handlers"));
    command.args(["--listen", "127.0.0.1:0", "--slots", "4", "--id", name, "--data-dir"]).arg(cluster.dir().join(name));
    command.args(["--scheduler", &format!("http://{}", cluster.scheduler_address)]).current_dir(cluster.dir());
    command.env("WITNESS", witness_file(cluster)).env("GATE", gate_file(cluster)).env("WORKER", name);
    let mut worker = Process::start(name, cluster.dir(), &mut command);
    worker.listening();
    worker
}

/// How an attempt ends that never started because another worker was free.
const TAKEN_BACK: &str = "taken back before it started";

async fn submit(gateway: &Gateway) -> Vec<(String, Vec<u8>)> {
    let payloads = ["early", "late"].iter().flat_map(|when| (0..HALF).map(move |n| format!("{when} {n}").into_bytes()));
    let payloads: Vec<Vec<u8>> = payloads.collect();
    let tasks: Vec<_> = payloads.iter().map(|payload| handler("share", payload)).collect();
    let accepted = gateway
        .clone()
        .submit_tasks(v1::SubmitTasksRequest::from(tasks))
        .await
        .unwrap()
        .into_inner()
        .accepted()
        .unwrap();
    accepted.into_iter().map(|task| task.task_id).zip(payloads).collect()
}

/// What the handlers said: task, attempt, worker.
fn said(cluster: &Cluster) -> Vec<[String; 3]> {
    let lines = witness(&witness_file(cluster)).into_iter();
    lines.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()).collect()
}

/// Kills `victim` while it holds tasks; `again` may start another.
fn share(lost_after: Option<&str>, victim: &str, again: bool) {
    let Some(python) = python() else { return skip("no Python with grpcio and protobuf") };
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = lost_after.map(|t| vec!["--lost-after".into(), t.into()]).unwrap_or_default();
    cluster.start_scheduler();
    cluster.start_gateway();
    let mut workers = [("python", python.worker(&cluster, "python")), ("rust", rust_worker(&cluster, "rust"))];
    connected(&cluster, 2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let gateway = cluster.client();
        let tasks = submit(&gateway).await;
        // All early ones have begun, and each worker's slots are full of late ones.
        ran(&witness_file(&cluster), HALF + 8);
        workers.iter_mut().filter(|(name, _)| *name == victim).for_each(|(_, worker)| worker.kill9());
        let late: BTreeSet<&str> = tasks[HALF..].iter().map(|(id, _)| id.as_str()).collect();
        let held = said(&cluster).into_iter().filter(|[id, _, w]| w == victim && late.contains(id.as_str()));
        let held: BTreeSet<String> = held.map(|[id, ..]| id).collect();
        assert_eq!(held.len(), 4, "{held:?}");
        let _second = again.then(|| python.worker(&cluster, "python"));
        fs::write(gate_file(&cluster), "").unwrap();
        let ended: Vec<_> = ended(&gateway, &tasks).await;
        check(&cluster, victim, &held, &ended);
    });
}

/// The tasks at their end, which is the one they were submitted for.
async fn ended(gateway: &Gateway, tasks: &[(String, Vec<u8>)]) -> Vec<v1::Task> {
    let mut ended = Vec::new();
    for (id, payload) in tasks {
        // Most have ended long ago, and need no story.
        let request = v1::GetTaskRequest { task_id: id.clone() };
        let mut task = gateway.clone().get_task(request).await.unwrap().into_inner();
        if task.finished_at_ms == 0 {
            task = finished(gateway, id).await;
        }
        assert_eq!(task.state, "completed", "{task:#?}");
        assert_eq!(task.result, payload.iter().rev().copied().collect::<Vec<_>>(), "{task:#?}");
        ended.push(task);
    }
    ended
}

/// Each task was begun once, or twice if the victim had it; no attempt was begun twice.
fn check(cluster: &Cluster, victim: &str, held: &BTreeSet<String>, tasks: &[v1::Task]) {
    let begun = said(cluster);
    let distinct: BTreeSet<_> = begun.iter().map(|[id, attempt, _]| (id.as_str(), attempt.as_str())).collect();
    assert_eq!(distinct.len(), begun.len(), "an attempt was begun twice");
    for task in tasks {
        let last = task.attempts.last().unwrap();
        assert_eq!(last.number as usize, task.attempts.len(), "{task:#?}");
        assert!(distinct.contains(&(task.task_id.as_str(), last.number.to_string().as_str())), "{task:#?}");
        // What a worker held ahead and gave back never began.
        let begun: Vec<_> = task.attempts.iter().filter(|attempt| attempt.outcome != TAKEN_BACK).collect();
        // What the victim had done but couldn't report any more is done again, too.
        let lost = begun.len() == 2 && begun[0].worker_id == victim;
        assert!(lost || begun.len() == 1 && !held.contains(&task.task_id), "{task:#?}");
    }
    let workers: BTreeSet<_> = tasks.iter().map(|task| task.worker_id.as_str()).collect();
    assert_eq!(workers, BTreeSet::from(["python", "rust"]));
}

#[test]
fn a_killed_python_workers_tasks_are_tried_again_when_it_is_back() {
    share(None, "python", true);
}

#[test]
fn a_killed_rust_workers_tasks_are_taken_over_by_the_python_one() {
    share(Some("1s"), "rust", false);
}
