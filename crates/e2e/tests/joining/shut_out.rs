//! Revoking the token by which a worker joined shuts it out, now and later; others stay.

use super::fleet::{Fleet, stop};
use e2e::{Gate, Process, eventually};
use wire::v1::worker_client::WorkerClient;

#[test]
fn a_worker_goes_with_the_token_by_which_it_joined() {
    let mut fleet = Fleet::at("127.0.0.1", "1s");
    let (id, token) = fleet.invitation();
    let (other, others) = fleet.invitation();
    let worker = fleet.joined("w0", &["--token-file", &token]);
    let gate = Gate::new(fleet.cluster.dir(), "gate");
    let submitted = fleet.baton(&["submit", "--quiet", "--on-lost", "fail", "--", &gate.line()]);
    let task = String::from_utf8_lossy(&submitted.stdout).trim().to_owned();
    gate.begun(1);
    let stays = fleet.joined("w1", &["--token-file", &others]);
    fleet.revoke(&id);
    let why = "the token by which this worker joined was revoked";
    eventually("it to hear why", || worker.log().contains(why).then_some(()));
    fleet.away("w0");
    // What it held goes the way of what lost workers hold.
    assert_eq!(fleet.baton(&["watch", &task]).status.code(), Some(1));
    assert_eq!(fleet.json(&["get", &task])["message"], "worker lost");
    fleet.audited("/RegisterWorker", &["refused", why]);
    let state = |id: &str| {
        let tokens = fleet.json(&["token", "list"]);
        tokens.as_array().unwrap().iter().find(|token| token["id"] == id).unwrap()["state"].clone()
    };
    assert_eq!((state(&id), state(&other)), ("revoked".into(), "used".into()));
    fleet.connected("w1");
    gate.open();
    stop(worker);
    stop(stays);

    // A scheduler that starts again knows of it, too.
    fleet.cluster.kill_scheduler();
    fleet.cluster.start_scheduler();
    let mut again = Process::start("w0", fleet.cluster.dir(), &mut fleet.join("w0", &[]));
    again.listening();
    eventually("it to hear why", || again.log().contains(why).then_some(()));
    stop(again);
    // The name is free, for another key.
    let (_, new) = fleet.invitation();
    std::fs::remove_file(fleet.path("w0/worker.crt")).unwrap();
    let said = fleet.stays_out("w0", &mut fleet.join("w0", &["--token-file", &new]));
    assert!(said.contains("this key was shut out"), "{said}");
    std::fs::remove_file(fleet.path("w0/worker.key")).unwrap();
    stop(fleet.joined("w0", &["--token-file", &new]));
}

#[test]
fn the_port_of_a_worker_that_joined_runs_nothing_and_stays_at_home() {
    let fleet = Fleet::here();
    let (_, token) = fleet.invitation();
    let (_, other) = fleet.invitation();
    let mut worker = Process::start("w0", fleet.cluster.dir(), &mut fleet.join("w0", &["--token-file", &token]));
    let address = worker.listening();
    fleet.connected("w0");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("https://{address}")).unwrap();
        let channel = tls::connect(&endpoint, &tls::Tls::of_anybody().unwrap()).await.unwrap();
        WorkerClient::new(channel).execute_task(e2e::shell("true")).await.map(drop).unwrap_err()
    });
    assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status:?}");
    stop(worker);
    // Beyond loopback callers would have to show tokens, and it knows none.
    let mut command = fleet.join("w1", &["--token-file", &other, "--listen", "0.0.0.0:0"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("would let anybody who reaches it"), "{text}");
}
