//! Two machines, as two networks with a cable between them: the second one joins with one line, and outlives a cut.

use super::fleet::{Fleet, stop};
use e2e::{
    Gate, Process,
    chaos::network::{Cable, Cut, SERVICES, WORKER},
    eventually, skip, witness,
};
use std::{process::Command, thread};

#[test]
fn the_second_machine_joins_with_one_line_and_outlives_a_partition() {
    let Some(cable) = Cable::lay() else { return skip("no network namespaces or no iptables") };
    // A thread of its own: it moves into the services' network and never comes back.
    thread::scope(|scope| {
        let services = scope.spawn(|| {
            cable.enter().unwrap();
            let fleet = Fleet::at(SERVICES, "2s");
            strangers_stay_out(&fleet, &cable);
            a_task_runs_there(&fleet, &cable);
        });
        if let Err(panic) = services.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn strangers_stay_out(fleet: &Fleet, cable: &Cable) {
    let at_the_worker = |command: Command| cable.at_the_worker(&command);
    let out =
        |name: &str, file: &str| fleet.stays_out(name, &mut at_the_worker(fleet.join(name, &["--token-file", file])));
    // Without a token: it knows the CA, and nobody knows it.
    let ca = fleet.path("ca/ca.crt").display().to_string();
    let mut command = Command::new(e2e::binary("worker"));
    command.args(["--scheduler", &fleet.url(), "--tls-ca", &ca, "--id", "nobody", "--listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(fleet.path("nobody"));
    let mut nobody = Process::start("nobody", fleet.cluster.dir(), &mut at_the_worker(command));
    nobody.listening();
    eventually("it to hear why", || nobody.log().contains("a token is needed").then_some(()));
    stop(nobody);
    let line = fleet.audited("/RegisterWorker", &["refused", "a token is needed"]);
    assert!(line["peer"].as_str().unwrap().starts_with(&format!("{WORKER}:")), "{line}");

    let (_, file) = fleet.invitation();
    let text = std::fs::read_to_string(&file).unwrap();
    let (token, hash) = text.rsplit_once('.').unwrap();
    let last = if token.ends_with('0') { '1' } else { '0' };
    let wrong = fleet.file("wrong.token", &format!("{}{last}.{hash}", &token[..token.len() - 1]));
    assert!(out("wrong", &wrong).contains("the token is not valid"));
    fleet.audited("/EnrolWorker", &["refused", "the token is not valid"]);

    let (_, expired) = fleet.token(&["--scope", "enrol", "--expires", "1ms"]);
    assert!(out("expired", &expired).contains("the token has expired"));
    fleet.audited("/EnrolWorker", &["refused", "the token has expired"]);

    let (id, revoked) = fleet.invitation();
    fleet.revoke(&id);
    assert!(out("revoked", &revoked).contains("the token was revoked"));
    fleet.audited("/EnrolWorker", &["refused", "the token was revoked"]);
}

fn a_task_runs_there(fleet: &Fleet, cable: &Cable) {
    let (_, token) = fleet.token(&["--scope", "enrol", "--worker", "build-9"]);
    let start = |args: &[&str]| {
        let mut command = cable.at_the_worker(&fleet.join("build-9", args));
        let mut worker = Process::start("build-9", fleet.cluster.dir(), &mut command);
        worker.listening();
        fleet.connected("build-9");
        worker
    };
    let worker = start(&["--token-file", &token]);
    // With the same token, but from elsewhere.
    let elsewhere = fleet.path("elsewhere").display().to_string();
    let mut thief = cable.at_the_worker(&fleet.join("build-9", &["--token-file", &token, "--data-dir", &elsewhere]));
    assert!(fleet.stays_out("elsewhere", &mut thief).contains(r#"used already, by the worker "build-9""#));
    let line = fleet.audited("/EnrolWorker", &["refused", "used already"]);
    assert_eq!((&line["target"], &line["outcome"]), (&"build-9".into(), &"refused".into()));

    let (_, user) = fleet.token(&["--scope", "submit,read"]);
    let run = |line: &str| {
        let output = fleet.baton_as(&user, &["run", "--", line]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run("ip -o -4 address show").contains(WORKER), "it ran on the second machine");
    // The token was needed once: from now on it is known by its certificate.
    std::fs::remove_file(&token).unwrap();
    stop(worker);
    let worker = start(&[]);
    cut_off(fleet, cable);
    assert!(run("echo still here").contains("still here"));
    stop(worker);
}

/// While a task runs, for longer than a worker is waited for.
fn cut_off(fleet: &Fleet, cable: &Cable) {
    let gate = Gate::new(fleet.cluster.dir(), "gate");
    let ended = fleet.path("ended");
    let line = format!("{}; echo $BATON_ATTEMPT >> {}", gate.line(), ended.display());
    let output = fleet.baton(&["submit", "--quiet", "--on-lost", "retry", "--", &line]);
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    gate.begun(1);
    cable.cut(Cut::Both);
    eventually("the first attempt to be given up", || {
        let task = fleet.json(&["get", &id]);
        (task["state"] != "running" && task["state"] != "dispatched").then_some(())
    });
    fleet.away("build-9");
    cable.join();
    assert_eq!(gate.begun(2), ["build-9", "build-9"], "it came back by itself");
    gate.open();
    assert!(fleet.baton(&["watch", &id]).status.success());
    let task = fleet.json(&["get", &id]);
    assert_eq!((&task["state"], task["attempts"].as_array().map(Vec::len)), (&"completed".into(), Some(2)), "{task}");
    assert_eq!(witness(&ended), ["2"], "the first attempt was ended before the second one began");
}
