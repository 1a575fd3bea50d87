//! Joining again: after an answer that was lost, after a restart of either side, and never by somebody else.

use super::fleet::{Fleet, stop};
use std::{fs, os::unix::fs::PermissionsExt as _};

#[test]
fn who_did_not_get_his_answer_asks_again_with_the_same_key() {
    let mut fleet = Fleet::here();
    let (id, token) = fleet.invitation();
    let list = |fleet: &Fleet| {
        let tokens = fleet.json(&["token", "list"]);
        tokens.as_array().unwrap().iter().find(|token| token["id"] == id.as_str()).unwrap().clone()
    };
    assert_eq!((&list(&fleet)["state"], list(&fleet)["used_by"].is_null()), (&"live".into(), true));
    stop(fleet.joined("w0", &["--token-file", &token]));
    let key = fs::read(fleet.path("w0/worker.key")).unwrap();
    assert_eq!(fs::metadata(fleet.path("w0/worker.key")).unwrap().permissions().mode() & 0o777, 0o600);
    // As if the answer had been lost behind the commit, and the scheduler had died of it.
    fs::remove_file(fleet.path("w0/worker.crt")).unwrap();
    fleet.cluster.kill_scheduler();
    fleet.cluster.start_scheduler();
    fleet.away("w0");
    stop(fleet.joined("w0", &["--token-file", &token]));
    assert_eq!(fs::read(fleet.path("w0/worker.key")).unwrap(), key);
    assert_eq!((&list(&fleet)["state"], &list(&fleet)["used_by"]), (&"used".into(), &"w0".into()));
    let table = fleet.baton(&["token", "list"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("used by w0"), "{table:?}");
    // Without the key it is somebody else.
    fs::remove_file(fleet.path("w0/worker.crt")).unwrap();
    fs::remove_file(fleet.path("w0/worker.key")).unwrap();
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &token]));
    assert!(said.contains("used already"), "{said}");
}

#[test]
fn a_worker_that_has_joined_just_starts_and_finds_a_scheduler_that_was_away() {
    let mut fleet = Fleet::here();
    let (_, token) = fleet.invitation();
    stop(fleet.joined("w0", &["--token-file", &token]));
    fs::remove_file(&token).unwrap();
    // Nobody is there to ask, and nobody has to be.
    fleet.cluster.kill_scheduler();
    let mut worker = e2e::Process::start("w0", fleet.cluster.dir(), &mut fleet.join("w0", &[]));
    worker.listening();
    fleet.cluster.start_scheduler();
    fleet.connected("w0");
    stop(worker);
    // `baton worker join` is the same.
    let mut command = std::process::Command::new(e2e::binary("baton"));
    command.args(["worker", "join", &fleet.url(), "--id", "w0", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(fleet.path("w0")).current_dir(fleet.cluster.dir());
    let mut worker = e2e::Process::start("baton", fleet.cluster.dir(), &mut command);
    worker.listening();
    fleet.connected("w0");
    stop(worker);
}
