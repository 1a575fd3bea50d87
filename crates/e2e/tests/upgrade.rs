//! Two versions live together: an earlier build's programs and store with those of this one, in every order. `make upgrade`
//! builds the earlier revision and names its directory in `BATON_OLD_BIN_DIR`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gate, Process, connected, eventually, finished, finished_with_output, handler, shell, skip};
use std::{path::PathBuf, process::Command};
use wire::v1;

/// Tasks submitted in each constellation.
const TASKS: usize = 20;

fn old_build() -> Option<PathBuf> {
    let dir = std::env::var_os("BATON_OLD_BIN_DIR").map(PathBuf::from);
    if dir.is_none() {
        skip("BATON_OLD_BIN_DIR is not set; see `make upgrade`");
    }
    dir
}

/// A cluster that isn't started, with these programs from the old build.
fn cluster(old: &[&'static str]) -> Option<Cluster> {
    let dir = old_build()?;
    let mut cluster = Cluster::empty();
    cluster.builds = old.iter().map(|name| (*name, dir.clone())).collect();
    Some(cluster)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Every kind of task, a cancel, a retry and a list: what passes between the programs in a day.
fn works(cluster: &Cluster, what: &str) -> Vec<String> {
    connected(cluster, 1);
    runtime().block_on(async {
        let mut gateway = cluster.client();
        let tasks: Vec<_> = (0..TASKS).map(|n| shell(&format!("echo {n} out; echo {n} err >&2"))).collect();
        let accepted =
            gateway.submit_tasks(v1::SubmitTasksRequest::from(tasks)).await.unwrap().into_inner().accepted().unwrap();
        let mut ids: Vec<String> = accepted.into_iter().map(|task| task.task_id).collect();
        for (number, id) in ids.iter().enumerate() {
            let (task, output) = finished_with_output(&gateway, id).await;
            assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 1), "{what}: {task:#?}");
            assert_eq!(String::from_utf8_lossy(&output), format!("{number} out\n"), "{what}");
        }
        let echo = gateway.submit_task(handler("echo", b"payload")).await.unwrap().into_inner().task_id;
        assert_eq!(finished(&gateway, &echo).await.result, b"payload", "{what}");
        let array = Some(v1::TaskArray { ranges: vec![v1::Range { first: 1, last: 5 }], entries: Vec::new() });
        let spec = v1::TaskSpec { array, ..shell("test $BATON_ARRAY_INDEX != 3") };
        let array = gateway.submit_task(spec).await.unwrap().into_inner().task_id;
        assert_eq!(finished(&gateway, &array).await.state, "failed", "{what}");
        let again = v1::RetryTaskRequest { task_id: array.clone() };
        let again = gateway.retry_task(again).await.unwrap().into_inner().task_id;
        assert_eq!(finished(&gateway, &again).await.state, "failed", "{what}");
        let long = gateway.submit_task(shell("sleep 1000")).await.unwrap().into_inner().task_id;
        gateway.cancel_task(v1::CancelTaskRequest { task_id: long.clone(), wait: true }).await.unwrap();
        assert_eq!(finished(&gateway, &long).await.state, "cancelled", "{what}");
        ids.extend([echo, array, again, long]);
        ids
    })
}

/// All of these are there, and final.
fn are_there(cluster: &Cluster, ids: &[String], what: &str) {
    runtime().block_on(async {
        for id in ids {
            let request = v1::GetTaskRequest { task_id: id.clone() };
            let task =
                cluster.client().get_task(request).await.unwrap_or_else(|status| panic!("{what}: {id}: {status:?}"));
            assert_ne!(task.into_inner().finished_at_ms, 0, "{what}: {id}");
        }
    });
}

#[test]
fn every_mixture_of_two_builds_works() {
    let mixtures: [&[&str]; 6] = [
        &["scheduler"],
        &["worker"],
        &["gateway"],
        &["worker", "gateway"],
        &["scheduler", "gateway"],
        &["scheduler", "worker"],
    ];
    for old in mixtures {
        let Some(mut cluster) = cluster(old) else { return };
        cluster.start_scheduler();
        cluster.start_gateway();
        cluster.start_worker(0);
        works(&cluster, &format!("old: {old:?}"));
    }
}

#[test]
fn an_upgrade_one_by_one_disturbs_nothing() {
    for order in [["scheduler", "gateway", "worker"], ["worker", "gateway", "scheduler"]] {
        let Some(mut cluster) = cluster(&order) else { return };
        cluster.start_scheduler();
        cluster.start_gateway();
        cluster.start_worker(0);
        let mut ids = works(&cluster, "all old");
        let gate = Gate::new(cluster.dir(), "gate");
        let line = format!("echo begun; {}; echo over", gate.line());
        let running = runtime().block_on(async { cluster.client().submit_task(shell(&line)).await });
        let running = running.unwrap().into_inner().task_id;
        gate.begun(1);
        for program in order {
            cluster.builds.remove(program);
            match program {
                "scheduler" => {
                    cluster.kill_scheduler();
                    cluster.start_scheduler();
                }
                "gateway" => {
                    cluster.kill_gateway();
                    cluster.start_gateway();
                }
                _ => {
                    cluster.kill_worker(0);
                    cluster.start_worker(0);
                }
            }
            ids.extend(works(&cluster, &format!("{order:?}, with a new {program}")));
            are_there(&cluster, &ids, program);
        }
        gate.open();
        let (task, output) = runtime().block_on(async { finished_with_output(&cluster.client(), &running).await });
        assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 1), "{order:?}: {task:#?}");
        assert_eq!(String::from_utf8_lossy(&output), "begun\nover\n", "{order:?}");
    }
}

/// The version of a store's schema.
fn schema(cluster: &Cluster) -> i64 {
    let store = rusqlite::Connection::open(cluster.data_dir().join("tasks.sqlite")).unwrap();
    store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Starts a scheduler that must refuse its store; what it says.
fn refused(cluster: &Cluster, program: PathBuf) -> String {
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(cluster.data_dir()).current_dir(cluster.dir());
    let mut process = Process::start("refusing", cluster.dir(), &mut command);
    let status = eventually("the scheduler to refuse", || process.has_ended().then(|| process.ended()));
    assert!(!status.success(), "a newer store was opened");
    process.log()
}

#[test]
fn an_older_program_refuses_a_newer_store_or_understands_it() {
    let Some(mut cluster) = cluster(&["scheduler"]) else { return };
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let ids = works(&cluster, "old store");
    let before = {
        cluster.kill_scheduler();
        schema(&cluster)
    };
    let old = cluster.builds.remove("scheduler").unwrap();
    cluster.start_scheduler();
    are_there(&cluster, &ids, "the new scheduler on the old store");
    cluster.kill_scheduler();
    if schema(&cluster) == before {
        cluster.builds.insert("scheduler", old);
        cluster.start_scheduler();
        are_there(&cluster, &ids, "back to the old scheduler");
        println!("the same schema: {before}");
    } else {
        let said = refused(&cluster, old.join("scheduler"));
        assert!(said.contains("newer build"), "{said}");
    }
}

#[test]
fn a_store_of_the_future_is_refused_and_not_touched() {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.kill_scheduler();
    let future = schema(&cluster) + 1_000;
    let path = cluster.data_dir().join("tasks.sqlite");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", future).unwrap();
    let said = refused(&cluster, e2e::binary("scheduler"));
    assert!(said.contains("newer build"), "{said}");
    assert_eq!(schema(&cluster), future);
}
