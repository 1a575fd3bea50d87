//! A keeper outlives its worker, and the next worker finds everything.

use crate::rig::{LONG, Rig, attempt, lives, shell};
use domain::{Exit, StreamName, WorkerId};
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    time::Duration,
};
use worker::keeper::{Keeper, KeeperEvent, KeeperOptions, Launch};

#[tokio::test]
async fn a_new_worker_finds_running_and_finished_attempts_with_all_their_frames() {
    let mut rig = Rig::new().await;
    let (long, short) = (attempt(1), attempt(2));
    let fifo = rig.path().join("go");
    let line = format!("mkfifo {0}; echo one; cat {0}; echo '77 late' >&3; sleep 1000", fifo.display());
    rig.keeper.start(shell(long, &line)).await.expect("sent");
    rig.until(long, |story| story.text() == "one\n").await;
    rig.run(shell(short, "echo short; exit 4")).await;
    let pid = rig.held.pid;

    let mut rig = rig.reconnect().await;
    assert_eq!(rig.held.pid, pid, "the same keeper");
    let mut held: Vec<_> =
        rig.held.attempts.iter().map(|a| (a.attempt, a.exited, a.totals.stdout, a.released.frames)).collect();
    held.sort();
    assert_eq!(held, [(long, false, 4, 0), (short, true, 6, 0)]);
    tokio::task::spawn_blocking(move || std::fs::write(fifo, "two\n")).await.expect("joined").expect("written");
    let story = rig.until(long, |story| story.text() == "one\ntwo\n" && !story.progress.is_empty()).await;
    assert!(story.started);
    assert_eq!(story.frames.iter().map(|f| f.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(story.progress, [(77, "late".to_owned())]);

    let mut rig = rig.reconnect().await;
    let story = rig.until(short, |story| story.exited.is_some()).await;
    assert_eq!((story.text().as_str(), &story.exited().exit), ("short\n", &Exit::Code(4)));
}

#[tokio::test]
async fn released_frames_and_forgotten_attempts_do_not_come_back() {
    let mut rig = Rig::new().await;
    let (kept, forgotten) = (attempt(1), attempt(2));
    let story = rig.run(shell(kept, "echo one; sleep 0.05; echo two")).await;
    let last = story.exited().totals.frames;
    rig.keeper.release(kept, last).await.expect("sent");
    rig.run(shell(forgotten, "mkdir -p a/b; touch a/b/c")).await;
    rig.keeper.forget(forgotten).await.expect("sent");
    // Commands are obeyed in order: when this has run, they have been.
    rig.run(shell(attempt(3), "/bin/true")).await;
    let mut rig = rig.reconnect().await;
    let held: Vec<_> = rig.held.attempts.iter().map(|a| (a.attempt, a.released.frames)).collect();
    assert_eq!(held, [(kept, last), (attempt(3), 0)]);
    let story = rig.until(kept, |story| story.exited.is_some()).await;
    assert_eq!((story.frames.len(), story.exited().totals.frames), (0, last));
    let dir = rig.path().join("tasks").join(forgotten.task.to_string());
    while dir.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_timeout_holds_without_a_worker() {
    let mut rig = Rig::new().await;
    let limit = Duration::from_millis(400);
    let id = attempt(1);
    let launch = Launch { timeout: Some(limit), ..shell(id, "echo $$; exec sleep 1000") };
    let pids = rig.start_printing(launch, 1).await;
    let gone = rig.disconnect();
    while pids.iter().any(|pid| lives(*pid)) {
        tokio::task::yield_now().await;
    }
    let mut rig = gone.connect().await;
    let story = rig.until(id, |story| story.exited.is_some()).await;
    assert_eq!(story.exited().exit, Exit::TimedOut(limit));
}

#[tokio::test]
async fn starting_an_attempt_again_starts_nothing() {
    let mut rig = Rig::new().await;
    let id = attempt(1);
    let launch = || Launch { grace: LONG, ..shell(id, "echo x >> ../../../count; cat ../../../count") };
    rig.run(launch()).await;
    rig.keeper.start(launch()).await.expect("sent");
    rig.run(shell(attempt(2), "/bin/true")).await;
    let count = std::fs::read_to_string(rig.path().join("count")).expect("a file");
    assert_eq!(count, "x\n");
    let mut rig = rig.reconnect().await;
    let story = rig.until(id, |story| story.exited.is_some()).await;
    assert_eq!(story.bytes(StreamName::Stdout), b"x\n");
}

#[tokio::test]
async fn a_keeper_that_cannot_start_says_why_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |program: Option<PathBuf>, dir: PathBuf| async move {
        let options = KeeperOptions { program, ..KeeperOptions::new(WorkerId::new("w1"), &["keeper"]) };
        Keeper::open(&dir, options).await.expect_err("no keeper").text().to_owned()
    };
    let nowhere = dir.path().join("nowhere");
    assert_eq!(
        open(None, nowhere.clone()).await,
        format!("data directory {}: No such file or directory (os error 2)", nowhere.display())
    );
    assert_eq!(
        open(Some(nowhere), dir.path().into()).await,
        "the keeper cannot be started: No such file or directory (os error 2)"
    );
    std::fs::create_dir(dir.path().join("keeper.sock")).expect("made");
    std::fs::write(dir.path().join("keeper.sock/in-the-way"), "").expect("written");
    let text = open(Some(env!("CARGO_BIN_EXE_worker").into()), dir.path().into()).await;
    assert!(text.starts_with("the keeper "), "{text}");
}

/// A message as it travels: its length, then its bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_le_bytes();
    [&length[..], body].concat()
}

/// Reads one message.
fn unframed(socket: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("a length");
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    socket.read_exact(&mut body).expect("a message");
    body
}

#[tokio::test]
async fn a_worker_of_the_first_protocol_is_answered_in_it() {
    let mut rig = Rig::new().await;
    rig.run(shell(attempt(1), "echo hi")).await;
    let socket = rig.path().join("keeper.sock");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = UnixStream::connect(socket).expect("a keeper");
        // Hello, field 1; in it protocol, field 1, which is 1.
        socket.write_all(&framed(&[0x0a, 2, 0x08, 1])).expect("sent");
        [unframed(&mut socket), unframed(&mut socket), unframed(&mut socket)]
    });
    let [held, started, frame] = answer.await.expect("joined");
    // Held, field 1, of some length; in it protocol, field 1.
    assert_eq!((held[0], &held[2..4]), (0x0a, &[0x08, 1][..]), "{held:?}");
    assert_eq!((started[0], frame[0]), (0x12, 0x1a), "its attempt is there, and nothing that it doesn't know");
}

#[tokio::test]
async fn a_keeper_of_the_first_protocol_is_spoken_to_and_one_of_a_later_is_left_alone() {
    for (protocol, known) in [(1, true), (2, true), (3, true), (4, false), (0, false)] {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("keeper.sock")).expect("a socket");
        let keeper = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a worker");
            unframed(&mut socket);
            // Protocol, level and process, as the first keepers said it.
            let held = [&[0x08, protocol, 0x12, 9][..], b"cgroup_v2", &[0x18, 77]].concat();
            let length = u8::try_from(held.len()).expect("short");
            socket.write_all(&framed(&[&[0x0a, length][..], &held].concat())).expect("sent");
            socket
        });
        let opened = Keeper::open(dir.path(), KeeperOptions::new(WorkerId::new("w1"), &["keeper"])).await;
        let _socket = keeper.join().expect("joined");
        match opened {
            Ok((_, mut events)) => {
                let held = events.recv().await;
                let Some(KeeperEvent::Held(held)) = held else { panic!("{held:?}") };
                assert!(known && held.pid == 77, "{held:?}");
                // An older one would start another user's commands as itself.
                assert_eq!(held.switches_user, protocol >= 3, "{held:?}");
            }
            Err(error) => {
                assert_eq!((known, error.kind()), (false, domain::Kind::Precondition));
                let said = format!("the keeper (process 77) speaks protocol {protocol}, this worker 1 to 3; ");
                assert!(error.text().starts_with(&said), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_long_path_is_no_obstacle() {
    let dir = tempfile::tempdir().expect("a directory");
    let long = dir.path().join("d".repeat(200));
    std::fs::create_dir(&long).expect("made");
    let program = Some(env!("CARGO_BIN_EXE_worker").into());
    let options = KeeperOptions { program, ..KeeperOptions::new(WorkerId::new("w1"), &["keeper"]) };
    let (keeper, mut events) = Keeper::open(&long, options).await.expect("a keeper");
    assert!(matches!(events.recv().await, Some(KeeperEvent::Held(_))));
    keeper.shutdown(false, Duration::ZERO).await.expect("sent");
    assert!(matches!(events.recv().await, Some(KeeperEvent::Gone(_))), "it holds nothing, so it ends");
}

#[tokio::test]
async fn whoever_ignores_its_children_still_learns_how_tasks_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let keeper = "trap '' CHLD INT TERM; exec \"$0\" keeper \"$@\"";
    let mut options = KeeperOptions::new(WorkerId::new("w1"), &["-c", keeper, env!("CARGO_BIN_EXE_worker")]);
    options.program = Some("/bin/sh".into());
    let (keeper, mut events) = Keeper::open(dir.path(), options).await.expect("a keeper");
    keeper.start(shell(attempt(1), "trap; exit 6")).await.expect("sent");
    loop {
        match events.recv().await.expect("an event") {
            KeeperEvent::Exited(exited) => break assert_eq!((exited.exit, exited.totals.stdout), (Exit::Code(6), 0)),
            KeeperEvent::Gone(why) => panic!("{why}"),
            KeeperEvent::Held(_)
            | KeeperEvent::Started { .. }
            | KeeperEvent::Frame(_)
            | KeeperEvent::Progressed { .. }
            | KeeperEvent::Custody { .. } => {}
        }
    }
    keeper.shutdown(true, Duration::ZERO).await.expect("sent");
    while !matches!(events.recv().await, Some(KeeperEvent::Gone(_))) {}
}
