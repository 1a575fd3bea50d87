//! Workers, whose scheduler asks who they are.

use super::{admin, baton, create, file, guarded, told};
use e2e::{Cluster, Process, eventually};
use serde_json::Value;
use wire::v1::worker_client::WorkerClient;

/// Whether this worker is connected.
fn connected(cluster: &Cluster, id: &str) -> bool {
    let output = baton(cluster, Some(&admin(cluster)), &["--output", "json", "workers"]);
    let workers: Value = serde_json::from_slice(&output.stdout).unwrap();
    workers.as_array().unwrap().iter().any(|worker| worker["worker_id"] == id && worker["status"] == "connected")
}

#[test]
fn a_worker_without_a_worker_s_token_is_refused_and_says_why() {
    let mut cluster = guarded();
    let (_, reader) = create(&cluster, &["--scope", "submit,read"]);
    for (args, why) in [
        (Vec::new(), "a token is needed"),
        (
            vec!["--token-file".to_owned(), file(&cluster, &reader).display().to_string()],
            "this needs the scope `worker`",
        ),
    ] {
        cluster.worker_args = args;
        let mut process = Process::start("stranger", cluster.dir(), &mut cluster.worker_command(0));
        process.listening();
        eventually(why, || process.log().contains(why).then_some(()));
        assert!(!connected(&cluster, "w0"));
    }
    assert!(cluster.scheduler.as_ref().unwrap().log().contains("WARN Call refused"));
}

#[test]
fn a_token_bound_to_one_worker_lets_no_other_in() {
    let mut cluster = guarded();
    let (_, token) = create(&cluster, &["--scope", "worker", "--worker", "w1"]);
    cluster.worker_args = vec!["--token-file".into(), file(&cluster, &token).display().to_string()];
    let mut other = Process::start("other", cluster.dir(), &mut cluster.worker_command(0));
    other.listening();
    eventually("a refusal", || other.log().contains("is that of the worker").then_some(()));
    cluster.workers.push(None);
    cluster.start_worker(1);
    eventually("the worker that it is for", || connected(&cluster, "w1").then_some(()));
    assert!(!connected(&cluster, "w0"));
    let told = |target: &str, outcome: &str| {
        let log = std::fs::read_to_string(cluster.data_dir().join("audit.log")).unwrap();
        let line = |line: &&str| line.contains("/RegisterWorker") && line.contains(target) && line.contains(outcome);
        log.lines().find(line).is_some_and(|line| line.contains("127.0.0.1"))
    };
    eventually("both in the audit log", || (told("\"w0\"", "refused") && told("\"w1\"", "ok")).then_some(()));
}

#[test]
fn a_task_runs_where_tokens_are_asked_for_and_sees_none() {
    let mut cluster = guarded();
    let (_, token) = create(&cluster, &["--scope", "worker"]);
    // As a variable: what a worker finds in its environment is none of its tasks' business.
    cluster.environment.push(("BATON_TOKEN_FILE".into(), file(&cluster, &token).display().to_string()));
    cluster.start_worker(0);
    let (_, user) = create(&cluster, &["--scope", "submit,read"]);
    let output = baton(&cluster, Some(&user), &["run", "--", "env; cat /proc/self/environ"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("BATON_TASK_ID=") && !text.to_lowercase().contains("token"), "{text}");
    let (code, text) = told(&baton(&cluster, None, &["run", "--", "true"]));
    assert!(code == Some(1) && text.contains("a token is needed") && text.contains("--token-file"), "{text}");
    assert!(!cluster.workers[0].as_ref().unwrap().log().contains(&token), "its log shows its token");
    // A worker that has a token serves nobody past its scheduler.
    let mut other = Process::start("w1", cluster.dir(), &mut cluster.worker_command(1));
    let address = other.listening();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let mut worker = WorkerClient::connect(format!("http://{address}")).await.unwrap();
        worker.execute_task(e2e::shell("true")).await.map(drop).unwrap_err()
    });
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}
