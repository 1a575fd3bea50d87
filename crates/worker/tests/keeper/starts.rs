//! What a task finds, and how it ends by itself.

use crate::rig::{Rig, attempt, entries, handler, shell};
use domain::{AttemptId, Exit, ShellRun, StreamName, limits};
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
