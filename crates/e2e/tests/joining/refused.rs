//! Each wrong way to join names what is wrong with it, and leaves nothing that looks as if somebody had joined.

use super::fleet::{Fleet, authority, stop};
use std::fs;

#[test]
fn who_looks_in_the_wrong_place_is_told_so() {
    let fleet = Fleet::here();
    let (_, token) = fleet.invitation();
    let at = |url: &str| fleet.stays_out("w0", &mut fleet.join_at(url, "w0", &["--token-file", &token]));
    let scheduler = fleet.cluster.scheduler_address;
    assert!(at(&format!("http://{scheduler}")).contains("is not a URL such as https://"));
    assert!(at("https://127.0.0.1:1").contains("cannot join at https://127.0.0.1:1: "));
    let said = at(&format!("https://{}", fleet.cluster.gateway_address));
    assert!(said.contains("no scheduler which workers can join") && said.contains("50052"), "{said}");
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &[]));
    assert!(said.contains("joining needs a token") && said.contains("--scope enrol"), "{said}");
    assert!(!fleet.audit_log().iter().any(|line| line.contains("/EnrolWorker")), "the token went nowhere");
    let worker = fleet.joined("w0", &["--token-file", &token]);
    stop(worker);
}

#[test]
fn a_token_is_not_sent_to_whom_its_ca_does_not_know() {
    let fleet = Fleet::here();
    let (_, token) = fleet.invitation();
    let text = fs::read_to_string(&token).unwrap();
    let last = if text.ends_with('0') { "1" } else { "0" };
    let other = fleet.file("other.token", &format!("{}{last}", &text[..text.len() - 1]));
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &other]));
    assert!(said.contains("its CA is another one") && said.contains("the token was not sent"), "{said}");
    assert!(!fleet.path("w0/worker.key").exists(), "there was nothing to ask for");
    // The same by a file.
    let dir = fleet.path("other-ca").display().to_string();
    authority(&["init", &dir]);
    let ca = format!("{dir}/ca.crt");
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &token, "--ca", &ca]));
    assert!(said.contains("not from a CA that is trusted here"), "{said}");
    // A token that names no CA is no reason to believe anybody.
    let bare = fleet.file("bare.token", text.rsplit_once('.').unwrap().0);
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &bare]));
    assert!(said.contains("does not say by which CA"), "{said}");
    assert!(!fleet.audit_log().iter().any(|line| line.contains("/EnrolWorker")), "no token was sent");
    let ca = fleet.path("ca/ca.crt").display().to_string();
    stop(fleet.joined("w0", &["--token-file", &bare, "--ca", &ca]));
}

#[test]
fn a_token_that_is_not_for_this_is_refused_and_written_down() {
    let fleet = Fleet::here();
    let ca = fleet.path("ca/ca.crt").display().to_string();
    let out = |id: &str, token: &str| fleet.stays_out(id, &mut fleet.join(id, &["--token-file", token, "--ca", &ca]));
    let (_, user) = fleet.token(&["--scope", "submit,read"]);
    assert!(out("w0", &user).contains("this needs the scope `enrol`"));
    fleet.audited("/EnrolWorker", &["refused", "this needs the scope `enrol`"]);
    let admin = fleet.cluster.data_dir().join("admin.token").display().to_string();
    assert!(out("w0", &admin).contains("no token for joining"));
    fleet.audited("/EnrolWorker", &["refused", "no token for joining", "\"w0\""]);
    let (_, bound) = fleet.token(&["--scope", "enrol", "--worker", "w1"]);
    assert!(out("w0", &bound).contains("join with --id w1"));
    fleet.audited("/EnrolWorker", &["refused", "join with --id w1"]);
    assert!(out("a/b", &bound).contains("worker_id: "));
    let shown = fleet.baton(&["token", "create", "--name", "x", "--scope", "enrol,worker"]);
    assert!(String::from_utf8_lossy(&shown.stderr).contains("enrol goes with no other scope"), "{shown:?}");
    // It wasn't used up by any of this.
    stop(fleet.joined("w1", &["--token-file", &bound]));
}

#[test]
fn a_name_that_somebody_has_is_not_taken_over() {
    let fleet = Fleet::here();
    let (first, token) = fleet.invitation();
    let worker = fleet.joined("w0", &["--token-file", &token]);
    let out = || {
        let dir = fleet.path("thief").display().to_string();
        let (_, other) = fleet.invitation();
        fleet.stays_out("thief", &mut fleet.join("w0", &["--token-file", &other, "--data-dir", &dir]))
    };
    let said = out();
    assert!(said.contains("joined before, with another key") && said.contains(&first), "{said}");
    stop(worker);
    fleet.away("w0");
    assert!(out().contains("joined before, with another key"));
    // A worker that never joined, but is there, with a certificate that the CA's owner made.
    let dir = fleet.path("ca").display().to_string();
    authority(&["issue", &dir, "--worker", "by-hand"]);
    let [cert, key] = ["crt", "key"].map(|end| format!("{dir}/worker-by-hand.{end}"));
    let mut command = std::process::Command::new(e2e::binary("worker"));
    command.args(["--scheduler", &fleet.url(), "--id", "by-hand", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(fleet.path("by-hand")).args([
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-ca",
        &format!("{dir}/ca.crt"),
    ]);
    let mut by_hand = e2e::Process::start("by-hand", fleet.cluster.dir(), &mut command);
    by_hand.listening();
    fleet.connected("by-hand");
    let (_, other) = fleet.invitation();
    let elsewhere = fleet.path("elsewhere").display().to_string();
    let args = ["--token-file", &other, "--data-dir", &elsewhere];
    assert!(fleet.stays_out("elsewhere", &mut fleet.join("by-hand", &args)).contains("is connected"));
    stop(by_hand);
}
