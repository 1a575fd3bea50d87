//! What waits is in the store: none of it is lost, and what comes first goes first, however many wait.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gate, Gateway, accepted, eventually, finished, json, ran, said, shell, witness};
use std::{fs, path::PathBuf};
use tonic::Code;
use wire::v1;

const MANY: usize = 2_000;

/// A scheduler and a gateway; workers come later, and run one task at a time.
fn one_slot() -> Cluster {
    let mut cluster = Cluster::start(0);
    cluster.slots = 1;
    cluster
}

/// Submits many tasks; each leaves its number.
async fn submit_many(cluster: &Cluster, queue: &str) -> PathBuf {
    let file = cluster.dir().join("ran");
    let spec = |n| v1::TaskSpec { queue: queue.into(), ..shell(&format!("echo {n} >> {}", file.display())) };
    let tasks: Vec<_> = (0..MANY).map(spec).collect();
    let answer = cluster.client().submit_tasks(v1::SubmitTasksRequest::from(tasks)).await.unwrap().into_inner();
    assert_eq!(answer.tasks.len(), MANY);
    file
}

/// So many tasks of a queue are in this state, as `baton queues` tells it.
fn count(cluster: &Cluster, queue: &str, state: &str) -> u64 {
    let queues = json(cluster, &["queues"]);
    let found = queues.as_array().unwrap().iter().find(|q| q["queue"] == queue);
    found.and_then(|queue| queue["tasks"][state].as_u64()).unwrap_or(0)
}

#[tokio::test]
async fn many_that_wait_outlive_kill_9_and_run_once_each_in_their_order() {
    let mut cluster = one_slot();
    let file = submit_many(&cluster, "").await;
    cluster.kill_scheduler();
    cluster.start_scheduler();
    cluster.start_worker(0);
    ran(&file, MANY);
    eventually("all to complete", || (count(&cluster, "default", "completed") == MANY as u64).then_some(()));
    assert_eq!(witness(&file), (0..MANY).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_urgent_runs_before_all_that_wait() {
    let mut cluster = one_slot();
    cluster.start_worker(0);
    let gate = Gate::new(cluster.dir(), "gate");
    accepted(&cluster, &["--", &gate.line()]);
    gate.begun(1);
    let file = submit_many(&cluster, "").await;
    accepted(&cluster, &["--priority", "1", "--", &format!("echo urgent >> {}", file.display())]);
    gate.open();
    assert_eq!(ran(&file, 2)[..2], ["urgent", "0"]);
}

#[tokio::test]
async fn a_retry_does_not_queue_behind_what_came_later() {
    let mut cluster = one_slot();
    cluster.start_worker(0);
    let file = cluster.dir().join("ran");
    let line = format!("sleep 0.1; [ -e {0}/mended ] && echo again >> {1}", cluster.dir().display(), file.display());
    let (code, failed, _) = said(&cluster, &["submit", "--wait", "--", &line]);
    assert_eq!(code, Some(1));
    let gate = Gate::new(cluster.dir(), "gate");
    accepted(&cluster, &["--", &gate.line()]);
    gate.begun(1);
    submit_many(&cluster, "").await;
    fs::write(cluster.dir().join("mended"), "").unwrap();
    let (code, retried, _) = said(&cluster, &["retry", failed.trim()]);
    assert_eq!(code, Some(0));
    let told = || json(&cluster, &["explain", retried.trim()])["waiting_for"][0]["code"] == "no_free_slot";
    eventually("it to be next", || told().then_some(()));
    gate.open();
    assert_eq!(ran(&file, 2)[..2], ["again", "0"]);
}

#[tokio::test]
async fn a_paused_queue_loses_none() {
    let mut cluster = Cluster::start(1);
    let file = submit_many(&cluster, "many").await;
    ran(&file, MANY / 10);
    assert_eq!(said(&cluster, &["queues", "pause", "many"]).1, "many paused\n");
    let held = || count(&cluster, "many", "dispatched") + count(&cluster, "many", "running");
    eventually("what was given to the worker to end", || (held() == 0).then_some(()));
    let before = witness(&file);
    assert_eq!(said(&cluster, &["run", "--", "true"]).0, Some(0), "other queues go on");
    cluster.kill_scheduler();
    cluster.start_scheduler();
    assert_eq!(said(&cluster, &["run", "--", "true"]).0, Some(0));
    assert_eq!(witness(&file), before, "nothing of it ran, even after a restart");
    assert_eq!(said(&cluster, &["queues", "resume", "many"]).1, "many resumed\n");
    ran(&file, MANY);
    eventually("all to complete", || (count(&cluster, "many", "completed") == MANY as u64).then_some(()));
    let mut numbers: Vec<usize> = witness(&file).iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MANY).collect::<Vec<_>>(), "each once");
}

/// The code of an error, whether it comes at once or as the first item of a stream.
async fn output_error(gateway: &Gateway, id: &str) -> Option<Code> {
    let request = v1::ReadOutputRequest { task_id: id.into(), stream: 1, ..Default::default() };
    let read = match gateway.clone().read_output(request).await {
        Ok(response) => response.into_inner().message().await.err(),
        Err(status) => Some(status),
    };
    read.map(|status| status.code())
}

#[tokio::test]
async fn what_ended_is_deleted_with_its_output_and_what_waits_stays() {
    let mut cluster = Cluster::start(1);
    let gateway = cluster.client();
    // Short output is kept elsewhere than long output, and an array's members have rows of their own.
    let short = accepted(&cluster, &["--", "echo short"]);
    let long = accepted(&cluster, &["--", "yes long | head -c 1000000"]);
    let array = accepted(&cluster, &["--array", "1-5", "--", "echo $BATON_ARRAY_INDEX"]);
    let ended = [short, long, format!("{array}.1"), format!("{array}.5"), array];
    for id in &ended {
        assert_eq!(finished(&gateway, id).await.state, "completed");
    }
    let waiting = accepted(&cluster, &["--quiet", "--label", "no=where", "--array", "1-3", "--", "true"]);

    cluster.kill_scheduler();
    cluster.scheduler_args = vec!["--retention".into(), "1s".into()];
    cluster.start_scheduler();
    for id in &ended {
        eventually("the task to be deleted", || (said(&cluster, &["get", id]).0 == Some(4)).then_some(()));
        assert_eq!(output_error(&gateway, id).await, Some(Code::NotFound), "{id}");
    }
    assert_eq!(count(&cluster, "default", "completed"), 0);
    let task = json(&cluster, &["get", &waiting]);
    assert_eq!(task["members"]["queued"].as_u64(), Some(3), "{task}");
}

#[test]
fn a_whole_queue_is_cancelled_and_no_other() {
    let cluster = Cluster::start(0);
    for _ in 0..3 {
        accepted(&cluster, &["--quiet", "--queue", "doomed", "--", "true"]);
        accepted(&cluster, &["--quiet", "--queue", "spared", "--", "true"]);
    }
    let array = accepted(&cluster, &["--quiet", "--queue", "doomed", "--array", "1-1000", "--", "true"]);
    let (code, _, stderr) = said(&cluster, &["cancel", "--queue", "doomed"]);
    assert_eq!(code, Some(0), "{stderr}");
    let states = |queue: &str| (count(&cluster, queue, "queued"), count(&cluster, queue, "cancelled"));
    assert_eq!((states("doomed"), states("spared")), ((0, 1_003), (3, 0)));
    assert_eq!(json(&cluster, &["get", &array])["state"].as_str(), Some("cancelled"));
}

#[test]
fn to_cancel_everything_takes_a_yes() {
    let cluster = Cluster::start(0);
    accepted(&cluster, &["--quiet", "--", "true"]);
    accepted(&cluster, &["--quiet", "--queue", "other", "--", "true"]);
    for args in [&["cancel"][..], &["cancel", "--all"], &["cancel", "--yes"], &["cancel", "last", "--all", "--yes"]] {
        assert_eq!(said(&cluster, args).0, Some(2), "{args:?}");
    }
    let queued = || count(&cluster, "default", "queued") + count(&cluster, "other", "queued");
    assert_eq!(queued(), 2);
    assert_eq!(said(&cluster, &["cancel", "--all", "--yes"]).1, "2 cancelled, 0 cancelling\n");
    assert_eq!(queued(), 0);
}
