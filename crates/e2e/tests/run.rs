//! `baton run` is like running the command here: its bytes, its exit code, its end – and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Process, eventually, shell, skip};
use rustix::process::Signal;
use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};
use tokio_stream::StreamExt as _;
use wire::v1;

fn run(cluster: &Cluster, args: &[&str]) -> Output {
    cluster.baton(&[&["run"], args].concat()).output().unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Whether any process has this argument.
fn any_with(argument: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|word| word == argument.as_bytes())
    })
}

#[test]
fn bytes_stay_bytes_and_the_exit_code_is_the_tasks_own() {
    let cluster = Cluster::start(1);
    let output = run(&cluster, &["--", r#"printf "a\0b\377"; echo e >&2; exit 7"#]);
    assert_eq!((&output.stdout[..], &output.stderr[..], code(&output)), (&b"a\0b\xff"[..], &b"e\n"[..], Some(7)));
    assert_eq!(code(&run(&cluster, &["--", "kill -9 $$"])), Some(137), "128 + 9");
    assert_eq!(code(&run(&cluster, &["--", "/no/such/program", "x"])), Some(1));
    let large = run(&cluster, &["--", "head -c 5000000 /dev/zero | tr '\\0' x"]);
    assert_eq!((large.stdout.len(), code(&large)), (5_000_000, Some(0)));
}

#[test]
fn several_words_start_no_shell() {
    let cluster = Cluster::start(1);
    let words = run(&cluster, &["--", "printf", "%s|", "a b", "$HOME", ";", "*"]);
    assert_eq!(String::from_utf8_lossy(&words.stdout), "a b|$HOME|;|*|");
    let listed = run(&cluster, &["--", "ls", "a b"]);
    assert_eq!(code(&listed), Some(2));
    assert!(String::from_utf8_lossy(&listed.stderr).contains("'a b'"), "{listed:?}");
    let line = run(&cluster, &["--", "echo $((1 + 1)) | cat"]);
    assert_eq!(String::from_utf8_lossy(&line.stdout), "2\n");
}

#[test]
fn options_reach_the_task() {
    let cluster = Cluster::start(1);
    let env = run(&cluster, &["--env", "GREETING=a b", "--worker", "w0", "--", "echo $GREETING on $BATON_WORKER_ID"]);
    assert_eq!(String::from_utf8_lossy(&env.stdout), "a b on w0\n");
    let mut child = cluster.baton(&["run", "--stdin", "--", "wc -c"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"12345").unwrap();
    assert_eq!(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).trim(), "5");
    let retried = run(&cluster, &["--retries", "1", "--", "echo $BATON_ATTEMPT; [ $BATON_ATTEMPT = 2 ]"]);
    assert_eq!((String::from_utf8_lossy(&retried.stdout).as_ref(), code(&retried)), ("1\n2\n", Some(0)));
}

#[test]
fn a_timeout_exits_124() {
    let cluster = Cluster::start(1);
    let output = run(&cluster, &["--timeout", "300ms", "--", "echo begun; sleep 987001"]);
    assert_eq!((&output.stdout[..], code(&output)), (&b"begun\n"[..], Some(124)), "{output:?}");
    assert!(!any_with("987001"));
}

#[test]
fn ctrl_c_cancels_the_task_and_waits() {
    let cluster = Cluster::start(1);
    let mut command = cluster.baton(&["run", "--", "echo begun; sleep 987002"]);
    let mut running = Process::start("run", cluster.dir(), &mut command);
    assert_eq!(running.line(), "begun");
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(130), "{}", running.log());
    assert!(!any_with("987002"), "when run returns, the processes are gone");
}

#[test]
fn a_second_ctrl_c_leaves_the_task_to_itself() {
    let mut cluster = Cluster::empty();
    // Long enough that the first Ctrl-C alone cannot end it before the second comes.
    cluster.worker_args = vec!["--kill-grace".into(), "30s".into()];
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let line = "trap 'echo deaf' TERM; echo begun; while :; do sleep 0.05; done";
    let mut running = Process::start("run", cluster.dir(), &mut cluster.baton(&["run", "--", line]));
    assert_eq!(running.line(), "begun");
    running.signal(Signal::INT);
    assert_eq!(running.line(), "deaf", "the task was asked to end, and its output still arrives");
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(130), "{}", running.log());
    let task = cluster.baton(&["get", "last"]).output().unwrap();
    assert!(String::from_utf8_lossy(&task.stdout).contains("cancelling"), "{task:?}");
}

/// Starts what is hardest to catch: out of the session, orphaned, deaf to TERM, without the environment.
fn escape(argument: &str, dir: &std::path::Path) -> String {
    let inner = format!("trap '' TERM HUP INT; touch {}/{argument}; sleep {argument}; :", dir.display());
    format!(
        "(env -i PATH=$PATH setsid sh -c \"({inner}) & exit\" >/dev/null 2>&1 &) ; until [ -e {}/{argument} ]; do sleep 0.01; done",
        dir.display()
    )
}

#[test]
fn no_process_is_left_however_it_hides() {
    let cluster = Cluster::start(1);
    let workers = cluster.baton(&["workers"]).output().unwrap();
    if String::from_utf8_lossy(&workers.stdout).contains("best-effort") {
        return skip("no cgroup to be had: such processes are caught at best");
    }
    let done = run(&cluster, &["--", &escape("987003", cluster.dir())]);
    assert_eq!(code(&done), Some(0), "{done:?}");
    assert!(!any_with("987003"), "after the end");
    let line = format!("{}; sleep 987004", escape("987005", cluster.dir()));
    assert_eq!(code(&run(&cluster, &["--timeout", "1s", "--", &line])), Some(124));
    assert!(!any_with("987004") && !any_with("987005"), "after a timeout");

    let line = format!("{}; echo begun; sleep 987006", escape("987007", cluster.dir()));
    let mut running = Process::start("run", cluster.dir(), &mut cluster.baton(&["run", "--", &line]));
    assert_eq!(running.line(), "begun");
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(130));
    assert!(!any_with("987006") && !any_with("987007"), "after a cancel");
}

#[test]
fn run_goes_on_while_gateway_and_scheduler_restart() {
    let mut cluster = Cluster::start(1);
    let gate = cluster.dir().join("gate");
    let line = format!("echo begun; until [ -e {} ]; do sleep 0.02; done; echo over; exit 5", gate.display());
    let mut running = Process::start("run", cluster.dir(), &mut cluster.baton(&["run", "--", &line]));
    assert_eq!(running.line(), "begun");
    cluster.kill_gateway();
    cluster.kill_scheduler();
    cluster.start_scheduler();
    cluster.start_gateway();
    fs::write(gate, "").unwrap();
    assert_eq!(running.line(), "over");
    assert_eq!(running.ended().code(), Some(5), "{}", running.log());
}

#[tokio::test]
async fn a_task_and_its_story_come_in_one_call_whether_the_task_is_new_or_not() {
    let cluster = Cluster::start(1);
    let spec = v1::TaskSpec { idempotency_key: "once".into(), ..shell("echo first") };
    let told = async || {
        let request = v1::RunTaskRequest { spec: Some(spec.clone()), output: true };
        let stream = cluster.client().run_task(request).await.unwrap().into_inner();
        stream.map(Result::unwrap).collect::<Vec<_>>().await
    };
    let first = told().await;
    let accepted = first[0].clone().into_accepted().unwrap();
    let watched = v1::WatchTaskRequest { task_id: accepted.task_id.clone(), output: true, ..Default::default() };
    let watched = cluster.client().watch_task(watched).await.unwrap().into_inner();
    let watched: Vec<_> = watched.map(Result::unwrap).collect().await;
    for run in [first, told().await] {
        assert_eq!(run[0].clone().into_accepted().unwrap().task_id, accepted.task_id);
        let story: Vec<_> = run[1..].iter().map(|item| item.clone().into_event().unwrap()).collect();
        assert_eq!(story, watched);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let cluster = Cluster::start(1);
    let mut child =
        cluster.baton(&["run", "--", "yes 987008"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 7];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    assert_eq!(code(&output), Some(141));
    eventually("the task to be gone", || (!any_with("987008")).then_some(()));
}

#[test]
fn progress_inside_a_task_is_seen_outside() {
    let cluster = Cluster::start(1);
    let bin = e2e::binary("baton");
    let line = format!("{} progress 42 'half way'; exit 3", bin.display());
    assert_eq!(code(&run(&cluster, &["--", &line])), Some(3));
    let watched = cluster.baton(&["watch", "last"]).output().unwrap();
    let text = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert!(text.contains("42") && text.contains("half way"), "{text}");
    let outside = Command::new(bin).args(["progress", "1"]).env_remove("BATON_PROGRESS_FD").output().unwrap();
    assert_eq!(code(&outside), Some(1));
}
