//! The table.

use crate::executor::Executor;
use e2e::{Cluster, Engine, alive_under, eventually, finished, output_of, story};
use tokio_stream::StreamExt as _;
use wire::v1::{self, OutputStream};

/// Writes so many lines to stderr while its worker is killed.
const LINES: u32 = 40;
/// More than travels in one frame or one message.
const MANY: usize = 2_500_000;

/// A script, what the task is to become, its exit code, and the words it ends with.
const ENDS: [(&str, &str, Option<i32>, &str); 7] = [
    ("exit 0", "completed", Some(0), ""),
    ("exit 7", "failed", Some(7), "exit code 7"),
    ("exit 127", "failed", Some(127), "exit code 127"),
    ("kill -9 $$", "failed", Some(137), "signal 9 (SIGKILL)"),
    ("kill -TERM $$", "failed", Some(143), "signal 15 (SIGTERM)"),
    ("sleep 1000", "timed_out", Some(-1), "timed out after 2s"),
    ("trap '' TERM; while :; do sleep 0.1; done", "timed_out", Some(-1), "timed out after 2s"),
];

#[tokio::test]
async fn commands_behave_as_every_executor_does() {
    every_behaviour(&Executor::Shell).await;
}

#[tokio::test]
async fn handlers_behave_as_every_executor_does() {
    every_behaviour(&Executor::Handler).await;
}

#[tokio::test]
async fn containers_behave_as_every_executor_does() {
    // What it lacks is said by the engine's start.
    let Some(engine) = Engine::start() else { return };
    every_behaviour(&Executor::Docker(engine)).await;
}

async fn every_behaviour(executor: &Executor) {
    let mut cluster = executor.cluster();
    ends(executor, &cluster).await;
    cancels(executor, &cluster).await;
    bytes(executor, &cluster).await;
    surroundings(executor, &cluster).await;
    retries(executor, &cluster).await;
    outlives_its_worker(executor, &mut cluster).await;
    executor.nothing_is_left();
    // A task's processes are found by the directory that they work in; a container's by the engine.
    cluster.stop();
    eventually("the end of all processes", || alive_under(cluster.dir()).is_empty().then_some(()));
}

async fn submitted(cluster: &Cluster, spec: v1::TaskSpec) -> String {
    cluster.client().submit_task(spec).await.unwrap().into_inner().task_id
}

async fn ends(executor: &Executor, cluster: &Cluster) {
    let mut ids = Vec::new();
    for (script, state, ..) in ENDS {
        let timeout_ms = Some(if state == "timed_out" { 2_000 } else { 0 });
        ids.push(submitted(cluster, v1::TaskSpec { timeout_ms, ..executor.task(script) }).await);
    }
    for ((script, state, code, words), id) in ENDS.into_iter().zip(&ids) {
        let task = finished(&cluster.client(), id).await;
        assert_eq!((&*task.state, task.exit_code), (state, code), "{script}: {task:#?}");
        assert!(task.message.contains(words), "{script}: {}", task.message);
        assert_eq!(task.attempts.len(), 1, "{script}: {task:#?}");
    }
}

/// Waits until a task has written something to stderr.
async fn has_begun(cluster: &Cluster, id: &str) {
    let request = v1::WatchTaskRequest { task_id: id.into(), after: String::new(), output: true };
    let mut events = cluster.client().watch_task(request).await.unwrap().into_inner();
    let is_output = |event: &v1::TaskEvent| matches!(event.event, Some(v1::task_event::Event::Output(_)));
    while let Some(event) = events.next().await {
        if is_output(&event.unwrap()) {
            return;
        }
    }
    panic!("{id} has ended without a word");
}

async fn cancels(executor: &Executor, cluster: &Cluster) {
    for script in ["echo up >&2; sleep 1000", "trap '' TERM; echo up >&2; while :; do sleep 0.1; done"] {
        let id = submitted(cluster, executor.task(script)).await;
        has_begun(cluster, &id).await;
        let request = v1::CancelTaskRequest { task_id: id.clone(), wait: true };
        cluster.client().cancel_task(request).await.unwrap();
        let task = finished(&cluster.client(), &id).await;
        assert_eq!(task.state, "cancelled", "{task:#?}");
        // Not a moment later: the end was reported because nothing is left.
        if let Executor::Docker(engine) = executor {
            assert!(engine.containers().is_empty(), "{script}");
        }
    }
}

async fn bytes(executor: &Executor, cluster: &Cluster) {
    let odd = submitted(cluster, executor.task(r"printf '\377\000\200a\r\n\376'")).await;
    let many = format!("head -c {MANY} /dev/zero | tr '\\000' '\\377' >&2");
    let many = submitted(cluster, executor.task(&many)).await;
    let lines = submitted(cluster, executor.task("seq 1 200000 >&2; printf end >&2")).await;
    let gateway = cluster.client();
    for id in [&odd, &many, &lines] {
        assert_eq!(finished(&gateway, id).await.state, "completed");
    }
    assert_eq!(executor.stdout(cluster, &odd).await, b"\xff\0\x80a\r\n\xfe");
    let found = output_of(&gateway, &many, OutputStream::Stderr).await;
    assert!(found.len() == MANY && found.iter().all(|byte| *byte == 0xff), "{} bytes", found.len());
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).chain(["end".to_owned()]).collect();
    assert!(output_of(&gateway, &lines, OutputStream::Stderr).await == expected.as_bytes(), "lines differ");
}

async fn surroundings(executor: &Executor, cluster: &Cluster) {
    let names = submitted(cluster, executor.task("printf %s $BATON_TASK_ID-$BATON_ATTEMPT-$BATON_WORKER_ID")).await;
    assert_eq!(finished(&cluster.client(), &names).await.state, "completed");
    let said = executor.stdout(cluster, &names).await;
    assert_eq!(String::from_utf8_lossy(&said), format!("{names}-1-w0"));
    if executor.has_progress() {
        let says = executor.task("echo '42 half way' > /dev/fd/$BATON_PROGRESS_FD");
        let id = submitted(cluster, says).await;
        let events = story(&cluster.client(), &id, false).await;
        let heard = events.iter().any(|event| match &event.event {
            Some(v1::task_event::Event::Progress(progress)) => progress.percent == 42 && progress.message == "half way",
            Some(v1::task_event::Event::State(_) | v1::task_event::Event::Output(_)) | None => false,
        });
        assert!(heard, "{events:#?}");
    }
}

async fn retries(executor: &Executor, cluster: &Cluster) {
    let spec = executor.task("test $BATON_ATTEMPT = 2 || exit 3");
    let id = submitted(cluster, v1::TaskSpec { max_retries: 1, ..spec }).await;
    let task = finished(&cluster.client(), &id).await;
    let outcomes: Vec<_> = task.attempts.iter().map(|attempt| (&*attempt.outcome, attempt.exit_code)).collect();
    assert_eq!((&*task.state, outcomes), ("completed", vec![("exit code 3", Some(3)), ("exit code 0", Some(0))]));
}

/// `kill -9` of the worker in the middle: the task goes on, and its output is whole and in order.
async fn outlives_its_worker(executor: &Executor, cluster: &mut Cluster) {
    let script = format!("i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo $i >&2; sleep 0.1; done; printf done");
    let id = submitted(cluster, executor.task(&script)).await;
    has_begun(cluster, &id).await;
    cluster.kill_worker(0);
    cluster.start_worker(0);
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((&*task.state, task.attempts.len()), ("completed", 1), "{task:#?}");
    let expected: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    assert_eq!(output_of(&cluster.client(), &id, OutputStream::Stderr).await, expected.as_bytes());
    assert_eq!(executor.stdout(cluster, &id).await, b"done");
}
