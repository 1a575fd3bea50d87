//! The worker process against a scheduler that says what the test wants to know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use domain::{AttemptId, Exit, HandlerRun, HeldPhase, Order, Report, ReportKind, Run};
use rig::{Session, Stub, Worker, attempt, command, shell, soon, spec};
use rustix::process::Signal;
use std::{path::Path, process::Stdio};
use tempfile::TempDir;
use wire::v1::{self, TaskStatus, worker_client::WorkerClient};

fn dir() -> TempDir {
    TempDir::with_prefix("baton-worker-").unwrap()
}

/// A stub, a worker of two slots, and its session.
async fn connected(dir: &Path, more: &[&str]) -> (Stub, Worker, Session) {
    let mut stub = Stub::start().await;
    let worker = Worker::start(stub.address, dir, &[&["--slots", "2"], more].concat());
    let session = stub.session().await;
    (stub, worker, session)
}

fn exit_of(reports: &[Report]) -> (Exit, Vec<u8>, Vec<u8>, u64) {
    match &reports.last().unwrap().kind {
        ReportKind::Exited { exit, tail, result, .. } => {
            let tail = tail.0.iter().flat_map(|f| f.data.clone()).collect();
            (exit.clone(), tail, result.clone(), reports.last().unwrap().number)
        }
        other => panic!("no exit: {other:?}"),
    }
}

#[tokio::test]
async fn a_small_command_needs_only_its_reports() {
    let dir = dir();
    let (_stub, _worker, mut session) = connected(dir.path(), &[]).await;
    session.start(attempt(1), shell("printf 'a\\0b\\377'; exit 7")).await;
    let reports = session.until_exit(attempt(1)).await;
    assert_eq!(reports[0].kind, ReportKind::Started);
    let (exit, tail, _, _) = exit_of(&reports);
    assert_eq!((exit, tail), (Exit::Code(7), b"a\0b\xff".to_vec()));
}

#[tokio::test]
async fn a_handler_command_reads_the_payload_and_writes_the_result() {
    let dir = dir();
    let (_stub, _worker, mut session) = connected(dir.path(), &["--handler", "upper=tr a-z A-Z; echo done >&2"]).await;
    let hello = session.hello.clone().unwrap();
    assert!(hello.handlers.contains("upper") && !hello.demo);
    session.start(attempt(1), spec("upper", Run::Handler(HandlerRun { payload: b"abc".to_vec() }))).await;
    let (exit, tail, result, _) = exit_of(&session.until_exit(attempt(1)).await);
    assert_eq!((exit, tail, result), (Exit::Code(0), b"done\n".to_vec(), b"ABC".to_vec()));
    session.start(attempt(2), spec("lower", Run::Handler(HandlerRun::default()))).await;
    let reports = session.until_exit(attempt(2)).await;
    assert!(matches!(&reports.last().unwrap().kind, ReportKind::Refused(why) if why.contains("lower")), "{reports:?}");
}

#[tokio::test]
async fn members_of_an_array_run_with_their_entries() {
    let dir = dir();
    let (_stub, _worker, mut session) = connected(dir.path(), &["--handler", "upper=tr a-z A-Z"]).await;
    let member = |index| AttemptId { task: attempt(1).task.member(index), ..attempt(1) };
    session.start_member(member(3), shell("echo $BATON_TASK_ID $BATON_ARRAY_INDEX $BATON_ENTRY"), Some("x")).await;
    let (exit, tail, _, _) = exit_of(&session.until_exit(member(3)).await);
    assert_eq!((exit, tail), (Exit::Code(0), format!("{}.3 3 x\n", attempt(1).task).into_bytes()));
    // (the payload that all members share, what this one reads)
    for (index, payload, read) in [(4, "", "OWN"), (5, "shared", "SHARED")] {
        let handler = Run::Handler(HandlerRun { payload: payload.into() });
        session.start_member(member(index), spec("upper", handler), Some("own")).await;
        assert_eq!(exit_of(&session.until_exit(member(index)).await).2, read.as_bytes());
    }
}

#[tokio::test]
async fn the_demo_handler_says_that_nothing_was_done() {
    let dir = dir();
    let (_stub, _worker, mut session) = connected(dir.path(), &[]).await;
    assert!(session.hello.clone().unwrap().demo);
    session.start(attempt(1), spec("anything", Run::Handler(HandlerRun { payload: b"abc".to_vec() }))).await;
    let mut percents = Vec::new();
    loop {
        let reports = session.reports().await.unwrap();
        session.order(Order::Forget(reports.last().unwrap().number)).await;
        for report in &reports {
            if let ReportKind::Progressed(progress) = &report.kind {
                assert_eq!(progress.message, "demo handler: nothing was done");
                percents.push(progress.percent);
            }
        }
        if reports.iter().any(|r| matches!(r.kind, ReportKind::Exited { .. })) {
            assert_eq!(exit_of(&reports).2, b"abc");
            break;
        }
    }
    assert_eq!(percents, [25, 50, 75, 100]);
}

#[tokio::test]
async fn a_killed_and_restarted_worker_finds_its_tasks_again() {
    let dir = dir();
    let (mut stub, mut worker, mut session) = connected(dir.path(), &[]).await;
    let first = session.hello.clone().unwrap();
    let gate = dir.path().join("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    session.start(attempt(1), shell(&format!("echo before; cat {}; echo after", gate.display()))).await;
    session.until_started(attempt(1)).await;
    worker.kill9();
    let _worker = Worker::start(stub.address, dir.path(), &["--slots", "2"]);
    let mut session = stub.session().await;
    let hello = session.hello.clone().unwrap();
    assert_eq!(hello.incarnation, first.incarnation);
    let held: Vec<_> = hello.held.iter().map(|h| (h.attempt, h.phase)).collect();
    assert_eq!(held, [(attempt(1), HeldPhase::Running)]);
    // Returns when the task reads.
    tokio::task::spawn_blocking(move || std::fs::write(gate, "between\n")).await.unwrap().unwrap();
    let (exit, tail, _, number) = exit_of(&session.until_exit(attempt(1)).await);
    assert_eq!(exit, Exit::Code(0));
    assert!(String::from_utf8_lossy(&tail).ends_with("between\nafter\n"), "{tail:?}");
    session.order(Order::Forget(number)).await;
}

#[tokio::test]
async fn what_was_not_acknowledged_is_said_again_after_a_reconnect() {
    let dir = dir();
    let (mut stub, _worker, mut session) = connected(dir.path(), &[]).await;
    session.start(attempt(1), shell("echo hi")).await;
    let first = session.until_exit(attempt(1)).await;
    drop(session);
    let mut session = stub.session().await;
    let held: Vec<_> = session.hello.iter().flat_map(|h| h.held.iter().map(|h| (h.attempt, h.phase))).collect();
    assert_eq!(held, [(attempt(1), HeldPhase::Exited)]);
    let again = session.until_exit(attempt(1)).await;
    assert_eq!(again, first, "numbers begin anew, and all is the same");
    session.order(Order::Forget(again.last().unwrap().number)).await;
    session.start(attempt(2), shell("true")).await;
    session.until_exit(attempt(2)).await;
    drop(session);
    let held: Vec<_> = stub.session().await.hello.unwrap().held.iter().map(|h| h.attempt).collect();
    assert_eq!(held, [attempt(2)], "the first is forgotten");
}

#[tokio::test]
async fn large_output_travels_on_its_own_stream_and_survives_its_break() {
    const BYTES: usize = 20_000_000;
    let dir = dir();
    let (mut stub, _worker, mut session) = connected(dir.path(), &[]).await;
    session.start(attempt(1), shell(&format!("yes 0123456789 | head -c {BYTES}"))).await;
    session.until_started(attempt(1)).await;
    let mut output = stub.output().await;
    let first = output.frames().await.unwrap();
    drop(output);
    let mut output = stub.output().await;
    let (mut all, mut rest): (Vec<domain::Frame>, Vec<domain::Frame>) = (Vec::new(), Vec::new());
    let mut last = None;
    let exited = session.until_exit(attempt(1));
    tokio::pin!(exited);
    // The exit says which frames come on the stream; the last few may come with it.
    while last.is_none_or(|last| all.last().is_none_or(|f| f.number < last)) {
        tokio::select! {
            frames = output.frames() => {
                let frames = frames.unwrap();
                output.ack(attempt(1), frames.last().unwrap().number).await;
                all.extend(frames);
            }
            reports = &mut exited, if last.is_none() => {
                let ReportKind::Exited { exit: Exit::Code(0), totals, tail, .. } = &reports.last().unwrap().kind else {
                    panic!("{reports:?}")
                };
                last = Some(tail.streamed(*totals));
                rest = tail.0.clone();
            }
        }
    }
    all.extend(rest);
    assert_eq!(all[0], first[0], "what was not acknowledged comes again, cut in the same way");
    assert!(all.iter().zip(1..).all(|(f, n)| f.number == n));
    let data: Vec<u8> = all.into_iter().flat_map(|f| f.data).collect();
    assert!(data.iter().eq(b"0123456789\n".iter().cycle().take(BYTES)));
}

#[tokio::test]
async fn a_cancelled_command_is_gone_with_its_children() {
    let dir = dir();
    let (_stub, _worker, mut session) = connected(dir.path(), &[]).await;
    let pids = dir.path().join("pids");
    let line =
        format!("trap '' TERM; sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait; sleep 1000", pids.display());
    session.start(attempt(1), shell(&line)).await;
    session.until_started(attempt(1)).await;
    let written = soon("the task's pids", async {
        loop {
            if let Ok(text) = std::fs::read_to_string(&pids) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    });
    let pids = written.await;
    session.order(Order::Kill(attempt(1))).await;
    let reports = session.until_exit(attempt(1)).await;
    let ReportKind::Exited { exit: Exit::Killed, tree_gone: true, .. } = reports.last().unwrap().kind else {
        panic!("{reports:?}")
    };
    for pid in pids.split_whitespace() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{pid} lives: {state}");
    }
}

#[tokio::test]
async fn a_signal_leaves_commands_running_and_gives_back_the_rest() {
    let dir = dir();
    let (mut stub, worker, mut session) = connected(dir.path(), &[]).await;
    session.start(attempt(1), shell("sleep 1000")).await;
    session.until_started(attempt(1)).await;
    session.start(attempt(2), spec("demo", Run::Handler(HandlerRun::default()))).await;
    session.until_started(attempt(2)).await;
    session.start(attempt(3), shell("echo never")).await;
    worker.signal(Signal::TERM);
    let mut seen = Vec::new();
    while let Some(reports) = session.reports().await {
        session.order(Order::Forget(reports.last().unwrap().number)).await;
        seen.extend(reports.into_iter().map(|r| (r.attempt, r.kind)));
    }
    assert!(seen.contains(&(attempt(3), ReportKind::Recalled)), "{seen:?}");
    assert!(seen.iter().any(|(a, k)| *a == attempt(2) && matches!(k, ReportKind::Exited { exit: Exit::Killed, .. })));
    let (said, code) = tokio::task::spawn_blocking(|| worker.ended()).await.unwrap();
    assert_eq!((said.as_str(), code), ("Worker service stopped\n", Some(0)));
    let _worker = Worker::start(stub.address, dir.path(), &[]);
    let held: Vec<_> = stub.session().await.hello.unwrap().held.iter().map(|h| (h.attempt, h.phase)).collect();
    assert_eq!(held, [(attempt(1), HeldPhase::Running)]);
}

#[tokio::test]
async fn a_second_signal_ends_the_commands() {
    let dir = dir();
    let (_stub, worker, mut session) = connected(dir.path(), &[]).await;
    session.start(attempt(1), shell("sleep 1000")).await;
    session.until_started(attempt(1)).await;
    worker.signal(Signal::INT);
    worker.signal(Signal::TERM);
    let (exit, ..) = exit_of(&session.until_exit(attempt(1)).await);
    assert_eq!(exit, Exit::Killed);
    session.order(Order::Forget(u64::MAX)).await;
    let (said, code) = tokio::task::spawn_blocking(|| worker.ended()).await.unwrap();
    assert_eq!((said.as_str(), code), ("Worker service stopped\n", Some(0)));
}

#[tokio::test]
async fn direct_calls_take_slots_and_end_with_their_callers() {
    let dir = dir();
    let (_stub, worker, _session) = connected(dir.path(), &[]).await;
    let mut client = WorkerClient::connect(format!("http://{}", worker.address)).await.unwrap();
    let task = |line: &str| v1::TaskSpec::from(&shell(line));
    let mut calm = client.execute_task(task("echo hi")).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = calm.message().await.unwrap() {
        assert!(message.task_id.starts_with("direct-"));
        last = Some((message.status(), message.message));
    }
    assert_eq!(last, Some((TaskStatus::Completed, "hi\n".to_owned())));
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut call = client.execute_task(task("sleep 1000")).await.unwrap().into_inner();
        assert_eq!(call.message().await.unwrap().unwrap().status(), TaskStatus::Running);
        busy.push(call);
    }
    let refused = client.execute_task(task("true")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    busy.pop();
    let freed = async {
        loop {
            match client.execute_task(task("true")).await {
                Ok(call) => return call.into_inner(),
                Err(status) => assert_eq!(status.code(), tonic::Code::ResourceExhausted),
            }
            tokio::task::yield_now().await;
        }
    };
    let mut call = soon("the slot of a caller that left", freed).await;
    while let Some(message) = call.message().await.unwrap() {
        assert_ne!(message.status(), TaskStatus::Failed);
    }
}

#[tokio::test]
async fn what_is_taken_is_said_with_a_hint() {
    let dir = dir();
    let (stub, worker, _session) = connected(dir.path(), &[]).await;
    let other = TempDir::new().unwrap();
    let address = worker.address.to_string();
    let table = [
        (command(stub.address, dir.path()), "is in use by another worker"),
        (
            {
                let mut command = command(stub.address, other.path());
                command.args(["--listen", &address]);
                command
            },
            "is already in use",
        ),
    ];
    for (mut command, text) in table {
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&format!("{text}\nhint: ")) && output.stdout.is_empty(), "{stderr}");
    }
}
