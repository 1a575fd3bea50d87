//! The Python worker: how handlers end, are asked to end, and outlive what happens to their scheduler.

use crate::python::{gate_file, python, witness_file};
use e2e::{Cluster, Process, connected, eventually, finished, handler, metrics, ran, skip, story, witness};
use rustix::process::Signal;
use std::fs;
use wire::v1;

/// A scheduler, a gateway and a Python worker called `p`; `None` without Python.
fn start() -> Option<(Cluster, Process)> {
    let cluster = Cluster::start(0);
    let worker = python()?.worker(&cluster, "p");
    connected(&cluster, 1);
    Some((cluster, worker))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn submit(cluster: &Cluster, spec: v1::TaskSpec) -> String {
    cluster.client().submit_task(spec).await.unwrap().into_inner().task_id
}

const NO_PYTHON: &str = "no Python with grpcio and protobuf";

#[test]
fn what_a_python_handler_returns_or_raises_is_how_its_task_ends() {
    let Some((cluster, _worker)) = start() else { return skip(NO_PYTHON) };
    let whole: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(4096);
    type End<'a> = Result<&'a [u8], &'a str>;
    let table: [(&str, &[u8], End<'_>); 8] = [
        ("puppet", b"hi", Ok(b"hi")),
        ("puppet", b"whole", Ok(&whole)),
        ("puppet", b"fail", Err("ValueError: bad input")),
        ("puppet", b"large", Err("the result is over 1048576 bytes")),
        ("puppet", b"nonsense", Err("the handler returned int, not bytes")),
        ("puppet", b"progress", Ok(b"")),
        ("async", b"hi", Ok(b"HI")),
        ("puppet", &[0, 255, 10], Ok(&[0, 255, 10])),
    ];
    block_on(async {
        for (name, payload, end) in table {
            let id = submit(&cluster, handler(name, payload)).await;
            let task = finished(&cluster.client(), &id).await;
            let label = String::from_utf8_lossy(payload);
            match end {
                Ok(result) => assert!(task.state == "completed" && task.result == result, "{label}: {}", task.state),
                Err(why) => assert!(task.state == "failed" && task.message.contains(why), "{label}: {task:#?}"),
            }
        }
    });
}

#[test]
fn a_python_handlers_progress_is_in_the_story() {
    let Some((cluster, _worker)) = start() else { return skip(NO_PYTHON) };
    block_on(async {
        let id = submit(&cluster, handler("puppet", b"progress")).await;
        let said: Vec<_> = story(&cluster.client(), &id, false)
            .await
            .into_iter()
            .filter_map(|event| match event.event {
                Some(v1::task_event::Event::Progress(progress)) => Some((progress.percent, progress.message)),
                Some(v1::task_event::Event::State(_) | v1::task_event::Event::Output(_)) | None => None,
            })
            .collect();
        // In between it is thinned; the last one is always there, within its limits.
        assert_eq!(said.last(), Some(&(100, "m".repeat(500))), "{said:?}");
    });
}

#[test]
fn members_of_an_array_find_their_entry_in_python() {
    let Some((cluster, _worker)) = start() else { return skip(NO_PYTHON) };
    let array =
        v1::TaskArray { ranges: vec![v1::Range { first: 1, last: 2 }], entries: vec!["ada".into(), "grace".into()] };
    block_on(async {
        for (payload, results) in [(b"".as_slice(), ["ada", "grace"]), (b"entry", ["ada", "grace"])] {
            let id = submit(&cluster, v1::TaskSpec { array: Some(array.clone()), ..handler("puppet", payload) }).await;
            finished(&cluster.client(), &id).await;
            for (index, result) in (1..).zip(results) {
                let task = finished(&cluster.client(), &format!("{id}.{index}")).await;
                assert_eq!(String::from_utf8_lossy(&task.result), result);
            }
        }
    });
}

#[test]
fn a_cancel_and_a_timeout_reach_python_handlers_and_those_that_ignore_them_keep_their_slot() {
    let Some((cluster, _worker)) = start() else { return skip(NO_PYTHON) };
    let cancel = async |id: &str| {
        let request = v1::CancelTaskRequest { task_id: id.into(), wait: true };
        cluster.client().cancel_task(request).await.unwrap().into_inner().state
    };
    block_on(async {
        for (count, name) in (1..).zip(["puppet", "async"]) {
            let id = submit(&cluster, handler(name, b"obey")).await;
            ran(&witness_file(&cluster), count);
            assert_eq!(cancel(&id).await, "cancelled");
            let task = finished(&cluster.client(), &id).await;
            assert!(!task.message.contains("may still run"), "{}", task.message);
        }
        let timed = v1::TaskSpec { timeout_ms: Some(1), ..handler("puppet", b"obey") };
        let id = submit(&cluster, timed).await;
        assert_eq!(finished(&cluster.client(), &id).await.state, "timed_out");
        // It is asked, not forced: the task ends, the thread goes on, and its slot is not offered.
        let id = submit(&cluster, handler("puppet", b"ignore")).await;
        ran(&witness_file(&cluster), 4);
        assert_eq!(cancel(&id).await, "cancelled");
        let held: Vec<_> = (0..4).map(|_| handler("share", b"late")).collect();
        let request = v1::SubmitTasksRequest::from(held);
        let ids = cluster.client().submit_tasks(request).await.unwrap().into_inner().accepted().unwrap();
        ran(&witness_file(&cluster), 7);
        fs::write(gate_file(&cluster), "").unwrap();
        for id in ids {
            assert_eq!(finished(&cluster.client(), &id.task_id).await.state, "completed");
        }
    });
    assert_eq!(witness(&witness_file(&cluster)).len(), 8);
}

#[test]
fn a_python_worker_keeps_its_attempts_through_a_restart_of_the_scheduler_and_tells_their_ends_then() {
    let Some((mut cluster, _worker)) = start() else { return skip(NO_PYTHON) };
    let ids: Vec<String> = block_on(async {
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(submit(&cluster, handler("share", b"late")).await);
        }
        ids
    });
    ran(&witness_file(&cluster), 4);
    cluster.kill_scheduler();
    // They end while nobody hears it.
    fs::write(gate_file(&cluster), "").unwrap();
    cluster.start_scheduler();
    block_on(async {
        for id in &ids {
            let task = finished(&cluster.client(), id).await;
            assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 1), "{task:#?}");
            assert_eq!(task.result, b"etal");
        }
    });
    assert_eq!(witness(&witness_file(&cluster)).len(), 4, "nothing was begun again");
    let refused = metrics(cluster.scheduler_address, "baton_reports_refused_total");
    assert!(refused.iter().all(|(_, count)| *count == 0.0), "{refused:?}");
}

#[test]
fn a_python_worker_that_is_told_to_stop_puts_its_tasks_back() {
    let Some((cluster, mut worker)) = start() else { return skip(NO_PYTHON) };
    block_on(async {
        let id = submit(&cluster, v1::TaskSpec { timeout_secs: 60, ..handler("puppet", b"obey") }).await;
        ran(&witness_file(&cluster), 1);
        worker.signal(Signal::TERM);
        assert_eq!(worker.line(), "left");
        assert_eq!(worker.ended().code(), Some(0));
        let state = || async { cluster.client().get_task(v1::GetTaskRequest { task_id: id.clone() }).await };
        // What it wasn't done with is nobody's failure.
        let task = state().await.unwrap().into_inner();
        assert_eq!((task.state.as_str(), task.attempts.len()), ("queued", 1), "{task:#?}");
    });
}

#[test]
fn two_python_workers_with_one_name_or_directory_are_told_so() {
    let Some((cluster, worker)) = start() else { return skip(NO_PYTHON) };
    let python = python().unwrap();
    let mut second = python.worker(&cluster, "p");
    assert_eq!(second.ended().code(), Some(1));
    assert!(second.log().contains("is in use by another worker"), "{}", second.log());
    let mut third = python.command(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/handlers.py"));
    third.args([&format!("http://{}", cluster.scheduler_address), "p"]).arg(cluster.dir().join("other"));
    third.env("WITNESS", witness_file(&cluster)).env("GATE", gate_file(&cluster));
    let third = Process::start("third", cluster.dir(), &mut third);
    eventually("the refusal", || third.log().contains("another worker called p is connected").then_some(()));
    drop(worker);
}
