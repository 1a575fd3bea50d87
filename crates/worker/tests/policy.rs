//! A scheduler that exceeds its rights: whatever it sends, the worker starts only what its own policy allows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "the rig is shared")]

mod rig;

use domain::{Container, DockerRun, Exit, HandlerRun, ReportKind, Run, ShellRun, Spec};
use rig::{Session, Stub, Worker, attempt, command, shell, spec};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use wire::v1::{self, TaskStatus, worker_client::WorkerClient};

fn dir() -> TempDir {
    TempDir::with_prefix("baton-policy-").unwrap()
}

fn policy(dir: &Path, text: &str) -> PathBuf {
    let file = dir.join("policy.toml");
    fs::write(&file, text).unwrap();
    file
}

/// A stub, a worker with this policy, and its session.
async fn limited(dir: &Path, text: &str, more: &[&str]) -> (Stub, Worker, Session) {
    let mut stub = Stub::start().await;
    let file = policy(dir, text).display().to_string();
    let worker = Worker::start(stub.address, &dir.join("data"), &[&["--policy", &file], more].concat());
    let session = stub.session().await;
    (stub, worker, session)
}

fn direct(program: &str, args: &[&str]) -> Spec {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    spec("direct", Run::Shell(ShellRun { command: program.into(), args, ..ShellRun::default() }))
}

/// How an attempt of this ends.
async fn end(session: &mut Session, n: u64, spec: Spec) -> (Exit, bool) {
    session.start(attempt(n), spec).await;
    let reports = session.until_exit(attempt(n)).await;
    let started = reports.iter().any(|report| report.kind == ReportKind::Started);
    match &reports.last().unwrap().kind {
        ReportKind::Exited { exit, .. } => (exit.clone(), started),
        other => panic!("no exit: {other:?}"),
    }
}

#[tokio::test]
async fn what_the_policy_does_not_allow_never_starts_whoever_orders_it() {
    let dir = dir();
    let witness = dir.path().join("witness");
    let touch = ["--handler", "kept=cat", "--handler", "other=touch witness"];
    let text = "[commands]\nprograms = [\"/bin/echo\"]\n[handlers]\nnames = [\"kept\"]\n[limits]\ntimeout = \"10m\"";
    let (_stub, worker, mut session) = limited(dir.path(), text, &touch).await;
    let hello = session.hello.clone().unwrap();
    assert!(hello.shell && !hello.docker && !hello.demo, "{hello:?}");
    assert_eq!(hello.handlers.iter().collect::<Vec<_>>(), ["kept"]);
    let path = witness.display().to_string();
    let container = Container { image: "busybox".into(), ..Container::default() };
    let forbidden = [
        (shell(&format!("echo; touch {path}")), "a line for the shell ([commands] shell)"),
        (direct("/usr/bin/touch", &[&path]), "the program /usr/bin/touch ([commands] programs)"),
        (direct("touch", &[&path]), "([commands] programs)"),
        (direct("/bin/../usr/bin/touch", &[&path]), "only an absolute path"),
        (spec("other", Run::Handler(HandlerRun::default())), "the handler other ([handlers] names)"),
        (spec("unknown", Run::Handler(HandlerRun::default())), "the handler unknown ([handlers] names)"),
        (spec("d", Run::Docker(DockerRun::Run(container))), "containers ([docker])"),
        (
            Spec { timeout: Some(std::time::Duration::from_secs(601)), ..direct("/bin/echo", &["x"]) },
            "[limits] timeout",
        ),
    ];
    for (n, (spec, rule)) in (1..).zip(forbidden) {
        let (exit, started) = end(&mut session, n, spec).await;
        match exit {
            Exit::NotStarted(why) => {
                assert!(
                    why.starts_with("the policy of worker w does not allow ") && why.contains(rule),
                    "{rule}: {why}"
                );
            }
            other => panic!("{rule}: {other:?}"),
        }
        assert!(!started && !witness.exists(), "{rule}");
    }
    assert_eq!(end(&mut session, 20, direct("/bin/echo", &["x"])).await, (Exit::Code(0), true));
    assert_eq!(end(&mut session, 21, direct("echo", &["x"])).await, (Exit::Code(0), true));
    assert_eq!(end(&mut session, 22, spec("kept", Run::Handler(HandlerRun::default()))).await, (Exit::Code(0), true));
    // Past its scheduler, too.
    let mut client = WorkerClient::connect(format!("http://{}", worker.address)).await.unwrap();
    let task = v1::TaskSpec {
        run: Some(v1::task_spec::Run::Shell(v1::ShellRun { command: format!("touch {path}"), ..Default::default() })),
        name: "s".into(),
        ..Default::default()
    };
    let mut told = client.execute_task(task).await.unwrap().into_inner();
    let mut last = told.message().await.unwrap().unwrap();
    while let Some(next) = told.message().await.unwrap() {
        last = next;
    }
    assert_eq!(last.status(), TaskStatus::Failed);
    assert!(last.message.contains("the policy of worker w does not allow the program /usr/bin/touch"), "{last:?}");
    assert!(!witness.exists());
}

#[tokio::test]
async fn a_worker_with_a_policy_offers_what_it_allows_and_no_demo_handler() {
    let dir = dir();
    let (_stub, _worker, session) = limited(dir.path(), "", &[]).await;
    let hello = session.hello.clone().unwrap();
    assert!(!hello.shell && !hello.docker && !hello.demo && hello.handlers.is_empty(), "{hello:?}");
}

#[test]
fn a_policy_that_is_not_clear_keeps_the_worker_from_starting() {
    let dir = dir();
    let started = |text: &str, more: &[&str]| {
        let file = policy(dir.path(), text);
        let scheduler = "127.0.0.1:1".parse().unwrap();
        let mut worker = command(scheduler, &dir.path().join("data"));
        let output = worker.arg("--policy").arg(file).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = started("[commands]\nshell = true\nsudo = true", &[]);
    assert!(said.contains("policy.toml") && said.contains("line 3") && said.contains("sudo"), "{said}");
    let said = started("run_as = \"nobody-of-this-name\"", &[]);
    assert!(said.contains("cannot run commands as nobody-of-this-name: "), "{said}");
    let said = started("run_as = \"root\"", &["--run-as", "nobody"]);
    assert!(said.contains("run_as is root in the policy, and --run-as says nobody"), "{said}");
}
