//! What a task finds, and how it ends by itself.

use crate::rig::{LONG, Rig, attempt, entries, handler, shell};
use domain::{AttemptId, Exit, ShellRun, StreamName, limits};
use std::time::{Duration, Instant};
use worker::keeper::{Launch, LaunchCommand};

#[tokio::test]
async fn codes_signals_and_bytes_are_exact() {
    let mut rig = Rig::new().await;
    let story = rig.run(shell(attempt(1), r#"printf 'a\0b\377'; echo e >&2; exit 7"#)).await;
    assert!(story.started);
    assert_eq!(story.bytes(StreamName::Stdout), b"a\0b\xff");
    assert_eq!(story.bytes(StreamName::Stderr), b"e\n");
    let exited = story.exited();
    assert_eq!((&exited.exit, exited.tree_gone), (&Exit::Code(7), true));
    assert_eq!((exited.totals.frames, exited.totals.stdout, exited.totals.stderr), (2, 4, 2));
    assert_eq!(rig.run(shell(attempt(2), "kill -SEGV $$")).await.exited().exit, Exit::Signal(11));
    assert_eq!(rig.run(shell(attempt(3), "/bin/true")).await.exited().exit, Exit::Code(0));
}

#[tokio::test]
async fn the_environment_is_exact_and_the_directory_its_own() {
    let mut rig = Rig::new().await;
    let env = [("MINE", "x y"), ("BATON_ATTEMPT", "99"), ("BATON_WORKER_ID", "no")];
    let run = ShellRun {
        command: "env".into(),
        args: vec!["-0".into()],
        env: env.map(|(k, v)| (k.into(), v.into())).into(),
        ..ShellRun::default()
    };
    let id = attempt(1);
    let command = LaunchCommand::Shell(run);
    let story = rig.run(Launch { command, ..shell(id, "") }).await;
    let found = entries(&story.bytes(StreamName::Stdout));
    let kept = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];
    let mut expected: std::collections::BTreeMap<String, String> =
        std::env::vars().filter(|(k, _)| kept.contains(&k.as_str()) || k.starts_with("LC_")).collect();
    let own = [
        ("MINE", "x y"),
        ("BATON_TASK_ID", &id.task.to_string()),
        ("BATON_ATTEMPT", "1"),
        ("BATON_WORKER_ID", "w1"),
        ("BATON_PROGRESS_FD", "3"),
    ];
    expected.extend(own.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(found, expected);

    let story = rig.run(shell(attempt(2), "pwd -P; touch left-behind")).await;
    let task = attempt(2).task.to_string();
    let dir = rig.path().canonicalize().expect("a path").join("tasks").join(&task).join("1");
    assert_eq!(story.text().trim_end(), dir.to_str().expect("text"));
    assert!(dir.join("left-behind").exists(), "kept until its exit is durable");
}

#[tokio::test]
async fn a_member_of_an_array_finds_its_index_and_its_entry() {
    let mut rig = Rig::new().await;
    let array = attempt(1);
    let member = |index| AttemptId { task: array.task.member(index), ..array };
    let line = "env -0; touch left-behind";
    let story = rig.run(Launch { entry: Some("a b\n$c".into()), ..shell(member(0), line) }).await;
    let found = entries(&story.bytes(StreamName::Stdout));
    let of = |name: &str| found.get(name).map(String::as_str);
    assert_eq!(of("BATON_TASK_ID"), Some(&*format!("{}.0", array.task)));
    assert_eq!((of("BATON_ARRAY_INDEX"), of("BATON_ENTRY")), (Some("0"), Some("a b\n$c")));
    let tasks = rig.path().join("tasks");
    assert!(tasks.join(format!("{}.0", array.task)).join("1/left-behind").exists(), "a directory of its own");
    let story = rig.run(shell(member(17), "env -0")).await;
    let found = entries(&story.bytes(StreamName::Stdout));
    assert_eq!((found.get("BATON_ARRAY_INDEX").map(String::as_str), found.get("BATON_ENTRY")), (Some("17"), None));
}

#[tokio::test]
async fn a_given_directory_must_exist() {
    let mut rig = Rig::new().await;
    let there = |dir: &str| ShellRun { command: "pwd; :".into(), working_dir: Some(dir.into()), ..ShellRun::default() };
    let launch = |n, dir| Launch { command: LaunchCommand::Shell(there(dir)), ..shell(attempt(n), "") };
    assert_eq!(rig.run(launch(1, "/usr")).await.text(), "/usr\n");
    let story = rig.run(launch(2, "/no/where")).await;
    let why = "working directory: no such file or directory: /no/where".to_owned();
    assert_eq!((story.started, &story.exited().exit), (false, &Exit::NotStarted(why)));
}

#[tokio::test]
async fn a_missing_program_is_not_started() {
    let mut rig = Rig::new().await;
    let run = ShellRun { command: "foo-nowhere".into(), args: vec!["x".into()], ..ShellRun::default() };
    let story = rig.run(Launch { command: LaunchCommand::Shell(run), ..shell(attempt(1), "") }).await;
    assert_eq!(story.exited().exit, Exit::NotStarted("no such file or directory: foo-nowhere".into()));
}

#[tokio::test]
async fn a_handler_reads_its_payload_and_its_stdout_is_the_result() {
    let mut rig = Rig::new().await;
    let payload: Vec<u8> = (0..limits::PAYLOAD_BYTES).map(|n| n as u8).collect();
    let story = rig.run(handler(attempt(1), "cat; echo note >&2; exit 3", &payload)).await;
    let exited = story.exited();
    assert_eq!((&exited.exit, exited.result == payload), (&Exit::Code(3), true));
    assert_eq!((exited.totals.stdout, exited.totals.stderr), (0, 5));

    let story = rig.run(handler(attempt(4), "sh -c 'echo $GIVEN'", b"")).await;
    assert_eq!(story.exited().result, b"to it\n");

    let story = rig.run(handler(attempt(2), "cat /dev/zero", b"")).await;
    assert_eq!(story.exited().exit, Exit::HandlerError("its result is over 1048576 bytes".into()));
    let line = format!("head -c {} /dev/zero", limits::RESULT_BYTES + 1);
    let story = rig.run(handler(attempt(3), &line, b"")).await;
    assert_eq!(story.exited().exit, Exit::HandlerError("its result is over 1048576 bytes".into()));
}

#[tokio::test]
async fn progress_is_what_the_task_last_said() {
    let mut rig = Rig::new().await;
    let story = rig.run(shell(attempt(1), "echo '10 a' >&$BATON_PROGRESS_FD; echo '100 all done' >&3")).await;
    assert_eq!(story.progress.last(), Some(&(100, "all done".to_owned())));
}

/// Which signal tells of a descriptor; libc lacks it.
const F_SETSIG: i32 = 10;

/// A program that nobody can load until this is dropped: whoever opens it waits for the lease on it to end.
struct Unloadable(std::fs::File);

impl Unloadable {
    fn new(program: &std::path::Path) -> Self {
        std::fs::copy("/bin/true", program).expect("a copy");
        let file = std::fs::File::open(program).expect("it opens");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: a valid descriptor. Of who waits we are told by a signal that does nothing.
        unsafe {
            assert_eq!(libc::fcntl(fd, F_SETSIG, libc::SIGURG), 0);
            assert_eq!(libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK), 0, "{}", std::io::Error::last_os_error());
        }
        Self(file)
    }

    fn release(self) {
        drop(self.0);
    }
}

#[tokio::test]
async fn a_program_that_takes_long_to_load_holds_nobody_up() {
    let mut rig = Rig::new().await;
    let program = rig.path().join("slow");
    let slow = Unloadable::new(&program);
    let direct = |n| {
        let run =
            ShellRun { command: program.to_str().expect("text").into(), args: vec!["x".into()], ..ShellRun::default() };
        Launch { command: LaunchCommand::Shell(run), ..shell(attempt(n), "") }
    };
    // More than a keeper waits for.
    const SLOW: u64 = 20;
    for n in 1..=SLOW {
        rig.keeper.start(direct(n)).await.expect("sent");
    }
    // For so long that they are no longer young.
    let begun = Instant::now();
    for n in SLOW + 1.. {
        assert_eq!(rig.run(shell(attempt(n), "echo quick")).await.text(), "quick\n");
        if begun.elapsed() > Duration::from_millis(200) {
            break;
        }
    }
    rig.keeper.kill(attempt(2), LONG).await.expect("sent");
    let killed = rig.until(attempt(2), |story| story.exited.is_some()).await;
    assert_eq!((&killed.exited().exit, killed.exited().tree_gone), (&Exit::Killed, true));
    slow.release();
    let mut left: Vec<AttemptId> = (1..=SLOW).filter(|n| *n != 2).map(attempt).collect();
    while !left.is_empty() {
        match rig.next().await {
            worker::keeper::KeeperEvent::Exited(exited) => {
                assert_eq!(exited.exit, Exit::Code(0));
                left.retain(|id| *id != exited.attempt);
            }
            _started => {}
        }
    }
}
