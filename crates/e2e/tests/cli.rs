//! The other commands: what they print where, and how they end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Process, binary};
use std::{
    net::TcpListener,
    process::{Command, Output},
};

fn baton(cluster: &Cluster, args: &[&str]) -> Output {
    cluster.baton(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

#[test]
fn submit_prints_the_id_alone_and_the_others_take_it() {
    let cluster = Cluster::start(1);
    let submitted = baton(&cluster, &["submit", "--wait", "--name", "first", "--", "echo out; echo err >&2"]);
    let id = stdout(&submitted).trim().to_owned();
    assert_eq!((id.len(), submitted.status.code()), (36, Some(0)), "{submitted:?}");
    let failing = baton(&cluster, &["submit", "--wait", "--", "exit 3"]);
    assert_eq!(failing.status.code(), Some(1));

    let logs = baton(&cluster, &["logs", &id]);
    assert_eq!((&logs.stdout[..], &logs.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    let task = json(&baton(&cluster, &["--output", "json", "get", &id]));
    assert_eq!((task["task_id"].as_str(), task["state"].as_str()), (Some(id.as_str()), Some("completed")), "{task}");
    // The end of an id is as good as the whole; so is `last` for the newest.
    assert_eq!(json(&baton(&cluster, &["--output", "json", "get", &id[24..]]))["task_id"], task["task_id"]);
    let last = json(&baton(&cluster, &["--output", "json", "get", "last"]));
    assert_eq!((last["state"].as_str(), last["exit_code"].as_i64()), (Some("failed"), Some(3)), "{last}");
    let listed = stdout(&baton(&cluster, &["list"]));
    assert!(listed.contains("first") && listed.contains("completed") && listed.contains("failed"), "{listed}");
    let workers = stdout(&baton(&cluster, &["workers"]));
    assert!(workers.contains("w0") && workers.contains("connected"), "{workers}");
}

#[test]
fn cancel_ends_a_task_and_refuses_a_final_one() {
    let cluster = Cluster::start(1);
    let id = stdout(&baton(&cluster, &["submit", "--", "sleep 987100"])).trim().to_owned();
    let cancelled = baton(&cluster, &["cancel", &id]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let again = baton(&cluster, &["cancel", &id]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let task = json(&baton(&cluster, &["--output", "json", "get", &id]));
    assert_eq!(task["state"].as_str(), Some("cancelled"));
}

#[test]
fn errors_have_their_codes() {
    let cluster = Cluster::start(0);
    let unknown = baton(&cluster, &["get", "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88"]);
    assert_eq!(unknown.status.code(), Some(4), "{unknown:?}");
    assert_eq!(baton(&cluster, &["get", "last"]).status.code(), Some(4));
    assert_eq!(baton(&cluster, &["run"]).status.code(), Some(2));
    assert_eq!(baton(&cluster, &["run", "--timeout", "5", "--", "true"]).status.code(), Some(2));
    assert_eq!(baton(&cluster, &["run", "--env", "novalue", "--", "true"]).status.code(), Some(2));
    assert_eq!(baton(&cluster, &["submit", "--retries", "101", "--", "true"]).status.code(), Some(2));
}

#[test]
fn without_a_gateway_the_next_step_is_named() {
    // Held, so that nobody else listens there; never accepted from.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(binary("baton"))
        .args(["run", "--", "true"])
        .env("BATON_GATEWAY", format!("http://{address}"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text, format!("error: no gateway at http://{address}\nhint: start one with: baton dev\n"));
}

#[test]
fn completions_are_scripts() {
    for (shell, word) in [("bash", "_baton"), ("zsh", "#compdef baton"), ("fish", "complete -c baton")] {
        let script = Command::new(binary("baton")).args(["completions", shell]).output().unwrap();
        assert!(stdout(&script).contains(word), "{shell}");
    }
}

#[test]
fn dev_runs_all_three_and_finds_everything_again_after_kill_9() {
    let cluster = Cluster::empty();
    let address = cluster.gateway_address.to_string();
    let start = || {
        let mut dev = cluster.baton(&["dev", "--listen", &address, "--slots", "2", "--data-dir"]);
        let mut dev = Process::start("dev", cluster.dir(), dev.arg(cluster.data_dir()));
        while !dev.line().contains("baton run -- echo hello") {}
        dev
    };
    let mut dev = start();
    let done = stdout(&baton(&cluster, &["submit", "--wait", "--", "echo kept"]));
    let gate = cluster.dir().join("gate");
    let waiting = format!("touch {0}.begun; until [ -e {0} ]; do sleep 0.02; done", gate.display());
    let running = stdout(&baton(&cluster, &["submit", "--", &waiting]));
    e2e::eventually("the task to begin", || gate.with_extension("begun").exists().then_some(()));
    dev.kill9();

    let mut dev = start();
    assert_eq!(stdout(&baton(&cluster, &["logs", done.trim()])), "kept\n");
    std::fs::write(&gate, "").unwrap();
    let watched = baton(&cluster, &["watch", running.trim()]);
    assert!(stdout(&watched).contains("completed"), "{watched:?}");
    let task = json(&baton(&cluster, &["--output", "json", "get", running.trim()]));
    assert_eq!(task["attempts"].as_array().map(Vec::len), Some(1), "{task}");

    let line = format!("touch {0}.$BATON_ATTEMPT; until [ -e {0}.end ]; do sleep 0.02; done", gate.display());
    let interrupted = stdout(&baton(&cluster, &["submit", "--", &line]));
    e2e::eventually("the task to begin", || gate.with_extension("1").exists().then_some(()));
    dev.signal(rustix::process::Signal::INT);
    assert_eq!(dev.ended().code(), Some(0), "{}", dev.log());
    let left = e2e::alive_under(cluster.dir());
    assert!(left.is_empty(), "Ctrl-C of dev ends everything: {left:?}");

    // What Ctrl-C interrupted is no failure: it begins anew.
    let _dev = start();
    std::fs::write(gate.with_extension("end"), "").unwrap();
    let watched = baton(&cluster, &["watch", interrupted.trim()]);
    assert!(stdout(&watched).contains("completed"), "{watched:?}");
    assert!(stdout(&watched).contains("queued again"), "{watched:?}");
}
