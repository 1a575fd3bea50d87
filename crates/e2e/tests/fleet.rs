//! Workers that are drained, forgotten or missing: what happens to their tasks, and what people are told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gate, Process, accepted, eventually, json, said};
use std::fs;

/// The state of a worker as `baton workers` tells it.
fn status(cluster: &Cluster, worker: &str) -> String {
    let workers = json(cluster, &["workers"]);
    let found = workers.as_array().unwrap().iter().find(|w| w["worker_id"] == worker);
    found.map_or_else(String::new, |worker| worker["status"].as_str().unwrap().to_owned())
}

fn becomes(cluster: &Cluster, worker: &str, wanted: &str) {
    eventually(&format!("{worker} to be {wanted:?}"), || (status(cluster, worker) == wanted).then_some(()));
}

/// Until a task waits for this reason, which is its only one. What is known of workers may be a moment old.
fn waits_for(cluster: &Cluster, id: &str, code: &str) {
    eventually(&format!("{id} to wait: {code}"), || {
        let told = json(cluster, &["explain", id]);
        let reasons = told["waiting_for"].as_array().unwrap();
        assert_eq!(reasons.len(), 1, "{told}");
        (reasons[0]["code"] == code).then_some(())
    });
}

#[test]
fn a_draining_worker_is_given_nothing_until_that_is_undone() {
    let mut cluster = Cluster::start(1);
    becomes(&cluster, "w0", "connected");
    assert_eq!(said(&cluster, &["drain", "w0"]), (Some(0), "w0 draining, 0 running\n".into(), String::new()));
    becomes(&cluster, "w0", "draining");
    let pinned = accepted(&cluster, &["--quiet", "--worker", "w0", "--", "true"]);
    cluster.start_worker(1);
    let (code, ids, _) = said(&cluster, &["submit", "--quiet", "--wait", "--array", "1-20", "--", "true"]);
    assert_eq!(code, Some(0));
    let members = json(&cluster, &["list", "--array", ids.trim()]);
    assert!(members.as_array().unwrap().iter().all(|task| task["worker"] == "w1"), "{members}");
    waits_for(&cluster, &pinned, "workers_draining");

    // That it shall drain is stored.
    cluster.kill_scheduler();
    cluster.start_scheduler();
    becomes(&cluster, "w0", "draining");
    waits_for(&cluster, &pinned, "workers_draining");
    // It waits for w0, and isn't w0's.
    let of = |args: &[&str]| json(&cluster, &[&["list", "--worker", "w0"], args].concat());
    assert_eq!(of(&[]).as_array().map(Vec::len), Some(0));
    assert_eq!(of(&["--waiting"])[0]["task_id"], pinned.as_str());
    assert_eq!(said(&cluster, &["cancel", "--worker", "w0"]).1, "0 cancelled, 0 cancelling\n");
    let http = e2e::http::get(cluster.http_address, "/agents/w0/tasks").json();
    assert_eq!(http["tasks"][0]["task_id"], pinned.as_str(), "the older call shows both: {http}");
    let other = accepted(&cluster, &["--quiet", "--worker", "w9", "--", "true"]);
    assert_eq!(said(&cluster, &["cancel", "--worker", "w9", "--waiting"]).1, "1 cancelled, 0 cancelling\n");
    assert_eq!(json(&cluster, &["get", &other])["state"], "cancelled");
    assert_eq!(said(&cluster, &["list", "--waiting"]).0, Some(2), "waiting for whom?");
    assert_eq!(said(&cluster, &["drain", "--undo", "w0"]).1, "w0 connected, 0 running\n");
    assert_eq!(said(&cluster, &["watch", &pinned]).0, Some(0));
    let of = json(&cluster, &["list", "--worker", "w0"]);
    assert_eq!((of.as_array().map(Vec::len), &of[0]["task_id"]), (Some(1), &pinned.as_str().into()), "now it is: {of}");
}

#[test]
fn drain_waits_for_what_runs_and_ends_none_of_it() {
    let cluster = Cluster::start(1);
    let gate = Gate::new(cluster.dir(), "gate");
    accepted(&cluster, &["--", &gate.line()]);
    gate.begun(1);
    let mut drain = Process::start("drain", cluster.dir(), &mut cluster.baton(&["drain", "--wait", "w0"]));
    eventually("drain to wait", || drain.log().contains("waiting for 1 attempt(s) to end").then_some(()));
    assert!(!drain.has_ended());
    gate.open();
    assert_eq!(drain.line(), "w0 draining, 0 running");
    assert_eq!(drain.ended().code(), Some(0));
    assert_eq!(said(&cluster, &["watch", "last"]).0, Some(0));
}

#[test]
fn what_a_forgotten_worker_held_runs_elsewhere_at_once() {
    let mut cluster = Cluster::start(1);
    let gate = Gate::new(cluster.dir(), "gate");
    let id = accepted(&cluster, &["--", &gate.line()]);
    gate.begun(1);
    cluster.kill_worker(0);
    becomes(&cluster, "w0", "disconnected");
    waits_for(&cluster, &id, "worker_out_of_contact");
    cluster.start_worker(1);
    becomes(&cluster, "w1", "connected");
    let forgotten = (Some(0), "w0 forgotten, 1 attempt(s) lost\n".to_owned(), String::new());
    assert_eq!(said(&cluster, &["workers", "forget", "w0"]), forgotten);
    assert_eq!(gate.begun(2), ["w0", "w1"], "long before w0 would have been given up");
    gate.open();
    assert_eq!(said(&cluster, &["watch", &id]).0, Some(0));
    let task = json(&cluster, &["get", &id]);
    assert_eq!(task["worker"].as_str(), Some("w1"), "{task}");
    assert_eq!(task["attempts"].as_array().map(Vec::len), Some(2), "{task}");
    becomes(&cluster, "w0", "");
}

#[test]
fn what_follows_a_lost_worker_is_the_tasks_choice() {
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = vec!["--lost-after".into(), "1s".into()];
    cluster.slots = 3;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let gate = Gate::new(cluster.dir(), "gate");
    let submit = |on_lost: &str| accepted(&cluster, &["--on-lost", on_lost, "--", &gate.line()]);
    let (retries, fails, waits) = (submit("retry"), submit("fail"), submit("wait"));
    gate.begun(3);
    // The scheduler has to know that, too.
    for id in [&retries, &fails, &waits] {
        eventually("it to run", || (json(&cluster, &["get", id])["state"] == "running").then_some(()));
    }
    cluster.kill_worker(0);
    // Its keeper holds them still, but nobody hears of it: longer than anybody is waited for.
    assert_eq!(said(&cluster, &["watch", &fails]).0, Some(1));
    let failed = json(&cluster, &["get", &fails]);
    assert_eq!((failed["message"].as_str(), failed["on_lost"].as_str()), (Some("worker lost"), Some("fail")));
    waits_for(&cluster, &retries, "no_worker");
    waits_for(&cluster, &waits, "worker_out_of_contact");
    assert_eq!(json(&cluster, &["get", &waits])["state"], "running");
    cluster.start_worker(0);
    gate.open();
    assert_eq!(said(&cluster, &["watch", &waits]).0, Some(0));
    assert_eq!(said(&cluster, &["watch", &retries]).0, Some(0));
    let attempts = |id: &str| json(&cluster, &["get", id])["attempts"].as_array().map(Vec::len);
    assert_eq!((attempts(&waits), attempts(&retries)), (Some(1), Some(2)));
}

#[test]
fn a_connected_worker_is_not_forgotten() {
    let cluster = Cluster::start(1);
    becomes(&cluster, "w0", "connected");
    let refused = "error: worker w0 is connected; stop it first, or drain it\n";
    assert_eq!(said(&cluster, &["workers", "forget", "w0"]), (Some(1), String::new(), refused.into()));
    assert_eq!(said(&cluster, &["workers", "forget", "nobody"]).0, Some(4));
    assert_eq!(said(&cluster, &["drain", "nobody"]).0, Some(4));
    assert_eq!(said(&cluster, &["run", "--", "true"]).0, Some(0), "it works on");
}

#[test]
fn each_way_of_waiting_has_its_code() {
    let mut cluster = Cluster::start(0);
    let waits = |cluster: &Cluster, args: &[&str], code: &str| {
        let id = accepted(cluster, &[&["--quiet"], args, &["--", "true"]].concat());
        waits_for(cluster, &id, code);
    };
    waits(&cluster, &[], "no_worker");
    waits(&cluster, &["--worker", "w7"], "worker_away");
    waits(&cluster, &["--delay", "1h"], "delayed");
    assert_eq!(said(&cluster, &["queues", "pause", "later"]).0, Some(0));
    waits(&cluster, &["--queue", "later"], "queue_paused");

    cluster.slots = 1;
    cluster.start_worker(0);
    becomes(&cluster, "w0", "connected");
    waits(&cluster, &["--label", "gpu=a100"], "no_match");
    let gate = Gate::new(cluster.dir(), "gate");
    let running = accepted(&cluster, &["--quiet", "--", &gate.line()]);
    gate.begun(1);
    waits(&cluster, &[], "no_free_slot");
    waits(&cluster, &[], "queued");
    waits(&cluster, &["--array", "1-2"], "queued");
    let told = json(&cluster, &["explain", &running]);
    assert_eq!(told["waiting_for"], serde_json::json!([]), "it runs: {told}");
    assert_eq!(said(&cluster, &["drain", "w0"]).0, Some(0));
    waits(&cluster, &[], "workers_draining");
}

#[test]
fn how_many_come_first_is_told_and_what_each_worker_misses() {
    let mut cluster = Cluster::empty();
    cluster.slots = 1;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let gate = Gate::new(cluster.dir(), "gate");
    accepted(&cluster, &["--", &gate.line()]);
    gate.begun(1);
    accepted(&cluster, &["--array", "1-500", "--", "true"]);
    accepted(&cluster, &["--", "true"]);
    let told = json(&cluster, &["explain", "last"]);
    assert_eq!(told["waiting_for"][0]["text"].as_str(), Some("queued behind 500"), "{told}");
    assert_eq!(told["workers"], serde_json::json!([{"worker_id": "w0", "missing": "", "free": false}]), "{told}");
    accepted(&cluster, &["--quiet", "--label", "gpu=a100", "--", "true"]);
    let told = json(&cluster, &["explain", "last"]);
    assert_eq!(told["workers"][0]["missing"].as_str(), Some("label gpu=a100"), "{told}");
}

#[test]
fn submit_notes_on_stderr_what_only_people_can_mend() {
    let mut cluster = Cluster::start(0);
    let submit = |cluster: &Cluster, args: &[&str]| {
        let (code, stdout, stderr) = said(cluster, &[&["submit"], args, &["--", "true"]].concat());
        let id = json(cluster, &["get", "last"])["task_id"].as_str().unwrap().to_owned();
        assert_eq!((code, stdout), (Some(0), format!("{id}\n")), "the id alone: {stderr}");
        stderr
    };
    assert_eq!(submit(&cluster, &[]), "note: no worker is connected\n");
    assert_eq!(submit(&cluster, &["--array", "1-3"]), "note: no worker is connected\n");
    assert_eq!(submit(&cluster, &["--quiet"]), "");
    assert_eq!(submit(&cluster, &["--delay", "1h"]), "", "that passes by itself");
    cluster.start_worker(0);
    becomes(&cluster, "w0", "connected");
    assert_eq!(submit(&cluster, &["--label", "gpu=a100"]), "note: no worker has label gpu=a100 (1 connected)\n");
    assert_eq!(submit(&cluster, &["--worker", "w7"]), "note: worker w7 is not connected\n");
    assert_eq!(submit(&cluster, &[]), "");
    let lines = cluster.dir().join("lines");
    fs::write(&lines, "a\nb\n").unwrap();
    let noted = submit(&cluster, &["--worker", "w7", "--each-line", lines.to_str().unwrap()]);
    assert_eq!(noted, "note: worker w7 is not connected\n");
}
