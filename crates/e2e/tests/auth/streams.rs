//! What becomes of open streams when a token is revoked or expires, and of a gateway whose scheduler is away.

use super::{admin, baton, bearer, create, file, guarded, ready, revoke, told};
use e2e::{Gate, eventually, http};
use std::process::Command;

fn status(cluster: &e2e::Cluster, token: &str) -> u16 {
    http::http(cluster.http_address, "GET", "/tasks", &[("authorization", &bearer(token))], "").status
}

#[test]
fn a_revoked_token_ends_its_streams_and_no_task() {
    let mut cluster = guarded();
    let (_, worker) = create(&cluster, &["--scope", "worker"]);
    cluster.worker_args = vec!["--token-file".into(), file(&cluster, &worker).display().to_string()];
    cluster.start_worker(0);
    let (id, user) = create(&cluster, &["--scope", "submit,read"]);
    let gate = Gate::new(cluster.dir(), "gate");
    let submitted = baton(&cluster, Some(&user), &["submit", "-q", "--", &gate.line()]);
    let task = String::from_utf8_lossy(&submitted.stdout).trim().to_owned();
    gate.begun(1);
    let mut command: Command = cluster.baton(&["watch", &task]);
    command.env("BATON_TOKEN_FILE", file(&cluster, &user)).stderr(std::process::Stdio::piped());
    let watching = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let path = format!("/tasks/{task}/events");
    let value = bearer(&user);
    let events = http::Events::request_as(cluster.http_address, &path, &[("authorization", &value)]);
    revoke(&cluster, &id);
    // Both end by themselves, though the task goes on.
    assert!(events.into_iter().all(|event| event.field("event") != "state" || event.data()["final"] == false));
    let (code, text) = told(&watching.wait_with_output().unwrap());
    assert!(code == Some(1) && text.contains("revoked"), "{code:?} {text}");
    assert_eq!(status(&cluster, &user), 401);
    gate.open();
    let admin = admin(&cluster);
    eventually("the end of the task", || {
        let output = baton(&cluster, Some(&admin), &["--output", "json", "get", &task]);
        String::from_utf8_lossy(&output.stdout).contains("\"state\":\"completed\"").then_some(())
    });
}

#[test]
fn while_the_scheduler_is_away_a_gateway_goes_by_what_it_knows() {
    let mut cluster = guarded();
    let (_, reader) = create(&cluster, &["--scope", "read"]);
    cluster.kill_scheduler();
    let answer = |token: &str| status(&cluster, token);
    // Known, and told that somebody is away; unknown as ever.
    assert_eq!(answer(&reader), 503);
    let last = if reader.ends_with('0') { '1' } else { '0' };
    assert_eq!(answer(&format!("{}{last}", &reader[..reader.len() - 1])).max(answer("x")), 401);
    // A gateway that has never heard of any token lets nobody in, and says why.
    cluster.kill_gateway();
    cluster.start_gateway();
    let (code, text) = told(&baton(&cluster, Some(&reader), &["list"]));
    assert!(code == Some(1) && text.contains("not known here yet"), "{text}");
    cluster.start_scheduler();
    ready(&cluster);
    assert_eq!(status(&cluster, &reader), 200);
}

#[test]
fn a_gateway_without_a_token_says_so_and_takes_one_without_a_restart() {
    let mut cluster = e2e::Cluster::empty();
    cluster.scheduler_args = vec!["--auth".into(), "tokens".into()];
    let path = cluster.dir().join("later.token");
    cluster.gateway_args = vec!["--auth".into(), "tokens".into(), "--token-file".into(), path.display().to_string()];
    cluster.start_scheduler();
    cluster.start_gateway();
    let readyz = || String::from_utf8_lossy(&http::get(cluster.http_address, "/readyz").body).into_owned();
    eventually("a reason on /readyz", || readyz().contains("does not let this gateway in").then_some(()));
    std::fs::copy(cluster.data_dir().join("gateway.token"), &path).unwrap();
    ready(&cluster);
    assert_eq!(status(&cluster, &admin(&cluster)), 200);
    // The tokens were made once: another start keeps them.
    let before = admin(&cluster);
    cluster.kill_scheduler();
    cluster.start_scheduler();
    assert_eq!(admin(&cluster), before);
}
