//! Bad calls: each is refused with a clear error, changes nothing, and nobody panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, finished, handler, shell};
use tonic::Code;
use wire::v1::{self, task_spec::Run};

const UNKNOWN: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";

/// A spec changed in one place.
fn with(change: impl FnOnce(&mut v1::TaskSpec)) -> v1::TaskSpec {
    let mut spec = shell("true");
    change(&mut spec);
    spec
}

fn with_shell(change: impl FnOnce(&mut v1::ShellRun)) -> v1::TaskSpec {
    with(|spec| {
        if let Some(Run::Shell(run)) = &mut spec.run {
            change(run);
        }
    })
}

#[tokio::test]
async fn wrong_specs_are_refused_by_the_name_of_the_field() {
    let cluster = Cluster::start(0);
    let mut gateway = cluster.client();
    let cases = [
        ("name", with(|s| s.name = String::new())),
        ("name", with(|s| s.name = "x".repeat(201))),
        ("name", with(|s| s.name = "a\nb".into())),
        ("description", with(|s| s.description = "x".repeat(4097))),
        ("timeout_secs", with(|s| s.timeout_secs = -1)),
        ("timeout_secs", with(|s| s.timeout_secs = 30 * 24 * 3600 + 1)),
        ("timeout_secs", with(|s| s.timeout_secs = i32::MAX)),
        ("timeout_ms", with(|s| s.timeout_ms = Some(-1))),
        ("timeout_ms", with(|s| s.timeout_ms = Some(i64::MAX))),
        ("max_retries", with(|s| s.max_retries = -1)),
        ("max_retries", with(|s| s.max_retries = 101)),
        ("idempotency_key", with(|s| s.idempotency_key = "k".repeat(201))),
        ("worker", with(|s| s.worker = "a b".into())),
        ("queue", with(|s| s.queue = "q".repeat(101))),
        ("labels", with(|s| s.labels = (0..17).map(|n| (n.to_string(), String::new())).collect())),
        ("shell.command", with_shell(|s| s.command = String::new())),
        ("shell.command", with_shell(|s| s.command = "a\0b".into())),
        ("shell.working_dir", with_shell(|s| s.working_dir = "here".into())),
        ("shell.env", with_shell(|s| s.env = [("a=b".to_owned(), String::new())].into())),
        ("shell.stdin", with_shell(|s| s.stdin = vec![0; (1 << 20) + 1])),
        ("payload", handler("h", &vec![0; (1 << 20) + 1])),
    ];
    for (field, spec) in cases {
        let status = gateway.submit_task(spec).await.expect_err(field);
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        assert!(status.message().contains(field), "{field}: {}", status.message());
    }
    // One wrong task in a batch, and none is accepted.
    let tasks = vec![shell("true"), with(|s| s.name = String::new())];
    let status = gateway.submit_tasks(v1::SubmitTasksRequest::from(tasks)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    for tasks in [vec![shell("true"); 10_001], vec![handler("h", &vec![0; 1 << 20]); 5]] {
        let status = gateway.submit_tasks(v1::SubmitTasksRequest::from(tasks)).await.unwrap_err();
        let code = status.code();
        assert!(matches!(code, Code::InvalidArgument | Code::ResourceExhausted | Code::OutOfRange), "{status:?}");
    }
    let listed = gateway.list_tasks(v1::ListTasksRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.tasks, [], "nothing was changed");
}

#[tokio::test]
async fn ids_that_are_none_are_invalid_and_unknown_ones_are_not_found() {
    let cluster = Cluster::start(0);
    let gateway = cluster.client();
    for (id, code) in [("", Code::InvalidArgument), ("../../etc", Code::InvalidArgument), (UNKNOWN, Code::NotFound)] {
        let task_id = id.to_owned();
        let mut answers = Vec::new();
        let mut g = gateway.clone();
        answers.push((
            "cancel",
            g.cancel_task(v1::CancelTaskRequest { task_id: task_id.clone(), wait: false }).await.err(),
        ));
        let request = v1::ProgressRequest { task_id: task_id.clone() };
        answers.push(("progress", first_error(g.subscribe_progress(request).await).await));
        let request = v1::WatchTaskRequest { task_id: task_id.clone(), ..Default::default() };
        answers.push(("watch", first_error(g.watch_task(request).await).await));
        let request = v1::ReadOutputRequest { task_id: task_id.clone(), stream: 1, ..Default::default() };
        answers.push(("output", first_error(g.read_output(request).await).await));
        answers.push(("get", g.get_task(v1::GetTaskRequest { task_id }).await.err()));
        for (call, error) in answers {
            let error = error.unwrap_or_else(|| panic!("{call} {id:?} was accepted"));
            assert_eq!(error.code(), code, "{call} {id:?}: {error:?}");
        }
    }
}

/// The error of a stream, whether it comes at once or as its first item.
async fn first_error<T>(answer: Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>) -> Option<tonic::Status> {
    match answer {
        Err(status) => Some(status),
        Ok(response) => response.into_inner().message().await.err(),
    }
}

#[tokio::test]
async fn wrong_places_are_refused() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let id = gateway.submit_task(shell("echo x")).await.unwrap().into_inner().task_id;
    finished(&gateway, &id).await;
    let request = v1::WatchTaskRequest { task_id: id.clone(), after: "yesterday".into(), output: false };
    assert_eq!(first_error(gateway.watch_task(request).await).await.map(|s| s.code()), Some(Code::InvalidArgument));
    let request = v1::ReadOutputRequest { task_id: id.clone(), ..Default::default() };
    assert_eq!(first_error(gateway.read_output(request).await).await.map(|s| s.code()), Some(Code::InvalidArgument));
    let request = v1::ListTasksRequest { page_token: "no token".into(), ..Default::default() };
    assert_eq!(gateway.list_tasks(request).await.unwrap_err().code(), Code::InvalidArgument);
    let request = v1::ListTasksRequest { page_size: -1, ..Default::default() };
    assert_eq!(gateway.list_tasks(request).await.unwrap_err().code(), Code::InvalidArgument);
    let request = v1::CancelTaskRequest { task_id: id, wait: true };
    assert_eq!(gateway.cancel_task(request).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn the_same_key_is_the_same_task_and_another_body_a_conflict() {
    let cluster = Cluster::start(0);
    let mut gateway = cluster.client();
    let keyed = |line: &str| v1::TaskSpec { idempotency_key: "once".into(), ..shell(line) };
    let first = gateway.submit_task(keyed("echo 1")).await.unwrap().into_inner().task_id;
    let again = gateway.submit_task(keyed("echo 1")).await.unwrap().into_inner().task_id;
    assert_eq!(first, again);
    let other = gateway.submit_task(keyed("echo 2")).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other:?}");
}

#[tokio::test]
async fn a_task_that_cannot_run_says_why_at_once() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let spec = v1::TaskSpec { worker: "elsewhere".into(), ..shell("true") };
    let accepted = gateway.submit_task(spec).await.unwrap().into_inner();
    assert!(accepted.state_reason.contains("elsewhere"), "{accepted:?}");
    let task = gateway.get_task(v1::GetTaskRequest { task_id: accepted.task_id }).await.unwrap().into_inner();
    assert!(task.waiting_for.iter().any(|w| w.text.contains("elsewhere")), "{task:?}");
}

#[test]
fn a_configuration_that_a_variable_names_is_read() {
    for (program, first) in [("scheduler", None), ("baton", Some("worker"))] {
        let mut command = std::process::Command::new(e2e::binary(program));
        let refused = command.args(first).env("BATON_CONFIG", "/does/not/exist").output().unwrap();
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && text.contains("cannot read /does/not/exist"), "{program}: {text}");
    }
}
