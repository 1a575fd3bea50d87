//! What a user sees of a worker's own policy, and of commands that run as somebody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{
    Cluster, Gate, accepted, alive_under, argv, connected, eventually, finished, finished_with_output, handler, json,
    shell, skip,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};
use wire::v1;

/// A cluster whose worker has this policy and these further arguments.
fn limited(policy: &str, more: &[&str]) -> Cluster {
    let mut cluster = Cluster::empty();
    let file = cluster.dir().join("policy.toml");
    fs::write(&file, policy).unwrap();
    let path = file.display().to_string();
    cluster.worker_args = ["--policy", &path].iter().chain(more).map(|arg| (*arg).to_owned()).collect();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    cluster
}

#[tokio::test]
async fn what_a_policy_forbids_fails_at_once_and_names_worker_and_rule() {
    let policy = "[commands]\nprograms = [\"/bin/echo\"]\n[handlers]\nnames = [\"mine\"]";
    let cluster = limited(policy, &["--handler", "mine=cat"]);
    let gateway = cluster.client();
    let end = async |spec: v1::TaskSpec| {
        let id = gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id;
        finished(&gateway, &id).await
    };
    let task = end(argv("/bin/echo", &["hello"])).await;
    assert_eq!((task.state.as_str(), task.exit_code), ("completed", Some(0)), "{task:#?}");
    let task = end(handler("mine", b"x")).await;
    assert_eq!((task.state.as_str(), &task.result[..]), ("completed", &b"x"[..]), "{task:#?}");
    let task = end(shell("echo hello; id")).await;
    assert_eq!((task.state.as_str(), task.attempts.len()), ("failed", 1), "{task:#?}");
    let why = "not started: the policy of worker w0 does not allow a line for the shell ([commands] shell)";
    assert_eq!(task.message, why);
    // Another worker might allow it: whoever asks for retries gets them, and no more.
    let task = end(v1::TaskSpec { max_retries: 1, ..shell("id; id") }).await;
    assert_eq!((task.state.as_str(), task.attempts.len(), task.message.as_str()), ("failed", 2, why), "{task:#?}");
}

#[test]
fn what_a_policy_leaves_out_is_not_sent_there_and_explain_says_so() {
    let cluster = limited("[handlers]\nnames = [\"mine\"]", &["--handler", "mine=cat", "--handler", "other=cat"]);
    connected(&cluster, 1);
    let workers = json(&cluster, &["workers"]);
    assert_eq!(workers[0]["handlers"], serde_json::json!(["mine"]), "{workers}");
    let waits = |id: &str, lacks: &str| {
        let told = json(&cluster, &["explain", id]).to_string();
        assert!(told.contains("no_match") || told.contains(lacks), "{told}");
        assert!(told.contains(lacks), "{told}");
        assert_eq!(json(&cluster, &["get", id])["state"], "queued");
    };
    waits(&accepted(&cluster, &["-q", "--", "true"]), "the shell executor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let submit = |spec: v1::TaskSpec| {
        runtime.block_on(async { cluster.client().submit_task(spec).await }).unwrap().into_inner().task_id
    };
    waits(&submit(handler("other", b"x")), "handler other");
    waits(&submit(handler("nobody-knows", b"x")), "handler nobody-knows");
}

/// Whether anybody may pass all of these directories.
fn is_open(dir: &Path) -> bool {
    dir.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|dir| dir.permissions().mode() & 0o001 != 0))
}

/// A cluster whose worker runs commands as nobody, with a data directory that an earlier build has left open.
fn as_nobody() -> Option<Cluster> {
    if !rustix::process::geteuid().is_root() {
        skip("only root can become another user");
        return None;
    }
    if !is_open(&std::env::temp_dir()) {
        skip("the temporary directory is closed to other users");
        return None;
    }
    let mut cluster = Cluster::empty();
    fs::set_permissions(cluster.dir(), fs::Permissions::from_mode(0o711)).unwrap();
    cluster.worker_args = ["--run-as", "nobody", "--handler", "who=cat >/dev/null; id -un"].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    let data = cluster.dir().join("w0");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("keeper.log"), "old").unwrap();
    cluster.start_worker(0);
    Some(cluster)
}

/// A task's end, with what it wrote.
async fn ran(cluster: &Cluster, spec: v1::TaskSpec) -> (v1::Task, String) {
    let gateway = cluster.client();
    let id = gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id;
    let (task, output) = finished_with_output(&gateway, &id).await;
    (task, String::from_utf8_lossy(&output).into_owned())
}

#[tokio::test]
async fn a_command_runs_as_another_user_who_sees_nothing_of_the_workers() {
    let Some(cluster) = as_nobody() else { return };
    let line = "id -un; echo $HOME $USER $LOGNAME; echo kept > f && cat f; cd \"$PWD\" && ls";
    let (task, said) = ran(&cluster, shell(line)).await;
    let home = said.lines().nth(1).unwrap_or_default();
    assert_eq!(task.state, "completed", "{task:#?}");
    assert!(
        said.starts_with("nobody\n") && home.ends_with(" nobody nobody") && said.ends_with("\nkept\nf\n"),
        "{said}"
    );
    assert_eq!(ran(&cluster, handler("who", b"x")).await.0.result, b"nobody\n");
    let secret = cluster.dir().join("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let data = cluster.dir().join("w0");
    let line = format!(
        "for f in {0} {0}/tasks; do ls $f; touch $f/mine; done; cat {1} {0}/*.json {0}/id {0}/keeper.log {0}/worker.lock; \
         ls {0}/spool; echo end",
        data.display(),
        secret.display()
    );
    let (_, said) = ran(&cluster, shell(&line)).await;
    assert_eq!(said, "end\n", "what it got to");
    for entry in fs::read_dir(&data).unwrap().flatten() {
        let (name, mode) = (entry.file_name(), entry.metadata().unwrap().mode());
        assert!(name == "tasks" || name == "pool" || mode & 0o077 == 0, "{name:?} has {mode:o}");
    }
}

#[tokio::test]
async fn another_users_command_outlives_its_worker_and_ends_when_it_is_cancelled() {
    let Some(mut cluster) = as_nobody() else { return };
    let gateway = cluster.client();
    let open = cluster.dir().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let gate = Gate::new(&open, "gate");
    let spec = shell(&format!("{}; id -un", gate.line()));
    let id = gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id;
    gate.begun(1);
    cluster.kill_worker(0);
    cluster.start_worker(0);
    gate.open();
    let (task, output) = finished_with_output(&gateway, &id).await;
    assert_eq!(
        (task.state.as_str(), task.attempts.len(), &output[..]),
        ("completed", 1, &b"nobody\n"[..]),
        "{task:#?}"
    );

    let spec = shell("trap '' TERM; setsid sleep 1000 & sleep 1000");
    let id = gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id;
    let dir = cluster.dir().join("w0/tasks").join(&id);
    eventually("its processes", || (alive_under(&dir).len() > 1).then_some(()));
    gateway.clone().cancel_task(v1::CancelTaskRequest { task_id: id.clone(), wait: true }).await.unwrap();
    assert_eq!(finished(&gateway, &id).await.state, "cancelled");
    assert!(alive_under(&dir).is_empty());
}
