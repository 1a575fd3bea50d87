//! `kill -9` of each service under load, and every order of start: no accepted task is lost, none runs twice, running
//! tasks go on, attached clients resume.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, away, eventually, finished, shell, story};
use std::{collections::BTreeMap, fs, path::Path};
use wire::v1;

/// Enough to be in the middle of it for a while.
const LOAD: usize = 120;

/// Each task writes a line to a file when it runs: that file is the witness.
fn witnessed(witness: &Path) -> v1::TaskSpec {
    shell(&format!("echo $BATON_TASK_ID $BATON_ATTEMPT >> {}; sleep 0.02", witness.display()))
}

fn lines(witness: &Path) -> usize {
    fs::read_to_string(witness).map_or(0, |text| text.lines().count())
}

async fn submit_load(cluster: &Cluster, witness: &Path) -> Vec<String> {
    let tasks: Vec<_> = (0..LOAD).map(|_| witnessed(witness)).collect();
    let answer = cluster.client().submit_tasks(v1::SubmitTasksRequest::from(tasks)).await.unwrap().into_inner();
    answer.accepted().unwrap().into_iter().map(|t| t.task_id).collect()
}

/// Every task is completed, and ran once. An attempt whose order was lost on its way never ran: it doesn't count.
async fn assert_each_ran_once(cluster: &Cluster, ids: &[String], witness: &Path) {
    let gateway = cluster.client();
    for id in ids {
        let task = finished(&gateway, id).await;
        let started = task.attempts.iter().filter(|a| a.started_at_ms != 0).count();
        assert_eq!((task.state.as_str(), started), ("completed", 1), "{task:#?}");
    }
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for id in fs::read_to_string(witness).unwrap().lines().filter_map(|line| line.split(' ').next()) {
        *runs.entry(id.to_owned()).or_default() += 1;
    }
    let wanted: BTreeMap<String, usize> = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(runs, wanted);
}

/// A task that says `begun`, and ends when the test lets it.
fn gated(dir: &Path) -> v1::TaskSpec {
    shell(&format!("echo begun; touch {0}/begun; until [ -e {0}/gate ]; do sleep 0.02; done; echo over", dir.display()))
}

fn wait_for_begun(dir: &Path) {
    eventually("the task to begin", || dir.join("begun").exists().then_some(()));
}

#[tokio::test]
async fn a_killed_scheduler_loses_nothing_and_repeats_nothing() {
    let mut cluster = Cluster::start(2);
    let witness = cluster.dir().join("witness");
    let ids = submit_load(&cluster, &witness).await;
    for part in [LOAD / 5, LOAD / 2] {
        eventually("some tasks to run", || (lines(&witness) >= part).then_some(()));
        cluster.kill_scheduler();
        cluster.start_scheduler();
    }
    assert_each_ran_once(&cluster, &ids, &witness).await;
}

#[tokio::test]
async fn a_killed_worker_finds_its_tasks_again() {
    let mut cluster = Cluster::start(2);
    let witness = cluster.dir().join("witness");
    let ids = submit_load(&cluster, &witness).await;
    for (part, worker) in [(LOAD / 5, 0), (LOAD / 2, 1)] {
        eventually("some tasks to run", || (lines(&witness) >= part).then_some(()));
        cluster.kill_worker(worker);
        cluster.start_worker(worker);
    }
    assert_each_ran_once(&cluster, &ids, &witness).await;
}

#[tokio::test]
async fn a_killed_gateway_loses_nothing_and_repeats_nothing() {
    let mut cluster = Cluster::start(2);
    let witness = cluster.dir().join("witness");
    let ids = submit_load(&cluster, &witness).await;
    eventually("some tasks to run", || (lines(&witness) >= LOAD / 5).then_some(()));
    cluster.kill_gateway();
    cluster.start_gateway();
    assert_each_ran_once(&cluster, &ids, &witness).await;
}

#[tokio::test]
async fn a_running_task_and_its_watchers_outlive_all_three() {
    let mut cluster = Cluster::start(1);
    let id = cluster.client().submit_task(gated(cluster.dir())).await.unwrap().into_inner().task_id;
    let gateway = cluster.client();
    let watched = id.clone();
    let watcher = tokio::spawn(async move { story(&gateway, &watched, true).await });
    let dir = cluster.dir().to_owned();
    tokio::task::spawn_blocking(move || wait_for_begun(&dir)).await.unwrap();
    cluster.kill_worker(0);
    cluster.kill_gateway();
    cluster.kill_scheduler();
    cluster.start_worker(0);
    cluster.start_gateway();
    cluster.start_scheduler();
    fs::write(cluster.dir().join("gate"), "").unwrap();

    let told = watcher.await.unwrap();
    let output: Vec<u8> = told
        .iter()
        .filter_map(|e| match &e.event {
            Some(v1::task_event::Event::Output(o)) => Some(o.data.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(String::from_utf8_lossy(&output), "begun\nover\n");
    let sequences: Vec<u64> = told.iter().map(|e| e.sequence).collect();
    assert_eq!(sequences, (1..=told.len() as u64).collect::<Vec<_>>(), "a watcher that resumes sees each event once");
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 1), "{task:#?}");
    // Whoever comes later is told the same story.
    assert_eq!(story(&cluster.client(), &id, true).await, told);
}

#[tokio::test]
async fn a_dead_keepers_tasks_are_swept_and_tried_again() {
    let mut cluster = Cluster::start(1);
    let id = cluster.client().submit_task(gated(cluster.dir())).await.unwrap().into_inner().task_id;
    wait_for_begun(cluster.dir());
    fs::remove_file(cluster.dir().join("begun")).unwrap();
    // As after a power cut: worker, keeper and task at once.
    cluster.kill_worker(0);
    e2e::sweep(&cluster.dir().join("w0"));
    cluster.start_worker(0);
    wait_for_begun(cluster.dir());
    fs::write(cluster.dir().join("gate"), "").unwrap();
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 2), "{task:#?}");
}

#[tokio::test]
async fn a_keeper_killed_under_a_living_worker_costs_an_attempt_and_nothing_else() {
    let cluster = Cluster::start(1);
    let id = cluster.client().submit_task(gated(cluster.dir())).await.unwrap().into_inner().task_id;
    wait_for_begun(cluster.dir());
    fs::remove_file(cluster.dir().join("begun")).unwrap();
    let keeper = keeper_of(&cluster.dir().join("w0"));
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    wait_for_begun(cluster.dir());
    fs::write(cluster.dir().join("gate"), "").unwrap();
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 2), "{task:#?}");
}

/// The keeper of a worker's data directory.
fn keeper_of(dir: &Path) -> rustix::process::Pid {
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"baton-keeper")
    };
    let pid = e2e::alive_under(dir).into_iter().find(named).unwrap();
    rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

#[tokio::test]
async fn the_services_may_start_in_any_order() {
    for order in ["wgs", "gws", "swg", "gsw"] {
        let mut cluster = Cluster::empty();
        for service in order.chars() {
            match service {
                's' => cluster.start_scheduler(),
                'g' => cluster.start_gateway(),
                _ => cluster.start_worker(0),
            }
        }
        let gateway = cluster.client();
        let id = loop {
            match gateway.clone().submit_task(shell("echo hello")).await {
                Ok(accepted) => break accepted.into_inner().task_id,
                Err(status) => assert!(away(&status), "{order}: {status:?}"),
            }
        };
        assert_eq!(finished(&gateway, &id).await.state, "completed", "{order}");
    }
}
