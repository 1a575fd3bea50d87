//! A scheduler by which nobody could join, or come back, doesn't start.

use super::fleet::{Fleet, authority};
use std::process::Command;

#[test]
fn what_keeps_workers_from_joining_is_said_at_the_start() {
    let mut fleet = Fleet::here();
    fleet.cluster.kill_scheduler();
    let at = |name: &str| fleet.path(name).display().to_string();
    let (ca, other) = (at("ca"), at("other"));
    authority(&["init", &other]);
    authority(&["issue", &other, "--service", "scheduler"]);
    let tls = |dir: &str, trusted: &str| {
        [
            "--tls-cert",
            &format!("{dir}/scheduler.crt"),
            "--tls-key",
            &format!("{dir}/scheduler.key"),
            "--tls-ca",
            trusted,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let (own_file, other_file) = (format!("{ca}/ca.crt"), format!("{other}/ca.crt"));
    let none = at("none");
    for (auth, tls, enrol, words) in [
        (false, tls(&ca, &own_file), &ca, "--enrol-ca needs --auth tokens"),
        (true, Vec::new(), &ca, "--enrol-ca needs --tls-cert and --tls-key"),
        (true, tls(&ca, &own_file), &none, "ca.crt: No such file"),
        (true, tls(&ca, &other_file), &ca, "the CA of --enrol-ca is not in --tls-ca"),
        (true, tls(&other, &own_file), &ca, "--tls-cert is not from the CA of --enrol-ca"),
    ] {
        let mut command = Command::new(e2e::binary("scheduler"));
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(fleet.path("fresh")).args(tls);
        command.args(["--enrol-ca", enrol]).args(if auth { ["--auth", "tokens"].as_slice() } else { &[] });
        let output = command.current_dir(fleet.cluster.dir()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && text.contains(words), "{words}: {text}");
    }
}

#[test]
fn where_nobody_can_join_a_token_says_so_and_so_does_the_scheduler() {
    let mut fleet = Fleet::here();
    fleet.cluster.kill_scheduler();
    let at = fleet.cluster.scheduler_args.iter().position(|arg| arg == "--enrol-ca").unwrap();
    fleet.cluster.scheduler_args.drain(at..at + 2);
    fleet.cluster.start_scheduler();
    fleet.away("nobody");
    let made = fleet.baton(&["token", "create", "--name", "x", "--scope", "enrol"]);
    let (text, note) = (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(note.contains("this scheduler has no --enrol-ca"), "{note}");
    let token = fleet.file("x.token", text.trim());
    let ca = fleet.path("ca/ca.crt").display().to_string();
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &token, "--ca", &ca]));
    assert!(said.contains("was started without --enrol-ca"), "{said}");
}
