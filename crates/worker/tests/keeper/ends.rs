//! Nothing is left of a task, however it ends.

use crate::rig::{LONG, Rig, attempt, lives, shell};
use domain::{Exit, Frame, KillLevel, Totals};
use std::time::Duration;
use worker::keeper::{KeeperEvent, Launch, Orphan, salvage, sweep};

/// Lines that print the numbers of processes which hold out in one way or another, how many, and whether even the
/// best effort ends them all.
const STUBBORN: [(&str, usize, bool); 6] = [
    ("trap '' TERM; echo $$; while :; do sleep 1000; done", 1, true),
    ("setsid sh -c 'echo $$; trap \"\" TERM; exec sleep 1000' & echo $$; wait", 2, true),
    ("(setsid sh -c 'echo $$; exec sleep 1000' &); echo $$; sleep 1000", 2, true),
    ("sh -c 'echo $$; kill -STOP $$' & echo $$; wait", 2, true),
    (
        "(env -i setsid /bin/sh -c 'echo $$; trap \"\" TERM; sleep 1000; :' &); echo $$; trap '' TERM; sleep 1000; :",
        2,
        false,
    ),
    ("echo $$; kill -STOP $$", 1, true),
];

/// Every level that this machine has, as the most that is used.
async fn rigs() -> Vec<Rig> {
    let mut rigs = vec![Rig::new().await];
    for level in [KillLevel::CgroupV1, KillLevel::BestEffort] {
        let rig = Rig::with_level(Some(level)).await;
        if rig.held.level == level && rigs.iter().all(|r| r.held.level != level) {
            rigs.push(rig);
        }
    }
    rigs
}

fn fits(rig: &Rig, always: bool) -> bool {
    always || rig.held.level != KillLevel::BestEffort
}

#[tokio::test]
async fn a_timeout_ends_the_whole_tree() {
    for mut rig in rigs().await {
        for (n, (line, count, always)) in (1..).zip(STUBBORN) {
            if !fits(&rig, always) {
                continue;
            }
            let limit = Duration::from_millis(300);
            let launch = Launch { timeout: Some(limit), grace: Duration::ZERO, ..shell(attempt(n), line) };
            let id = launch.attempt;
            let pids = rig.start_printing(launch, count).await;
            let story = rig.until(id, |story| story.exited.is_some()).await;
            assert_eq!((&story.exited().exit, story.exited().tree_gone), (&Exit::TimedOut(limit), true), "{line}");
            assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}: {line}", rig.held.level);
        }
    }
}

#[tokio::test]
async fn a_kill_ends_the_whole_tree() {
    for mut rig in rigs().await {
        for (n, (line, count, always)) in (1..).zip(STUBBORN) {
            if !fits(&rig, always) {
                continue;
            }
            let id = attempt(n);
            let pids = rig.start_printing(shell(id, line), count).await;
            rig.keeper.kill(id, Duration::from_millis(50)).await.expect("sent");
            let story = rig.until(id, |story| story.exited.is_some()).await;
            assert_eq!((&story.exited().exit, story.exited().tree_gone), (&Exit::Killed, true), "{line}");
            assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}: {line}", rig.held.level);
        }
    }
}

#[tokio::test]
async fn a_task_that_minds_sigterm_may_end_by_itself() {
    let mut rig = Rig::new().await;
    let id = attempt(1);
    let line = "trap 'echo bye; exit 0' TERM; echo $$; while :; do sleep 0.01; done";
    rig.start_printing(shell(id, line), 1).await;
    rig.keeper.kill(id, LONG).await.expect("sent");
    let story = rig.until(id, |story| story.exited.is_some()).await;
    assert_eq!((story.text().as_str(), &story.exited().exit), ("bye\n", &Exit::Killed));
}

#[tokio::test]
async fn what_a_finished_task_leaves_behind_is_ended_and_its_exit_does_not_wait_for_it() {
    for mut rig in rigs().await {
        // The orphan holds both pipes open.
        let line = "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & read -r x < /dev/null; sleep 0.2; exit 5";
        let id = attempt(1);
        let pids = rig.start_printing(shell(id, line), 1).await;
        let story = rig.until(id, |story| story.exited.is_some()).await;
        assert_eq!((&story.exited().exit, story.exited().tree_gone), (&Exit::Code(5), true));
        assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}", rig.held.level);
    }
}

#[tokio::test]
async fn with_cgroups_even_a_comet_is_caught() {
    for mut rig in rigs().await {
        if rig.held.level == KillLevel::BestEffort {
            continue;
        }
        // Each of its processes starts the next, in a session of its own and without environment, and ends.
        let comet = rig.path().join("comet");
        let next = format!("env -i setsid /bin/sh {} &\n", comet.display());
        std::fs::write(&comet, next).expect("written");
        for n in 1..=10 {
            let id = attempt(n);
            let line = format!("sh {}; echo $$; trap '' TERM; sleep 1000; :", comet.display());
            rig.start_printing(shell(id, &line), 1).await;
            rig.keeper.kill(id, Duration::ZERO).await.expect("sent");
            let story = rig.until(id, |story| story.exited.is_some()).await;
            assert!(story.exited().tree_gone);
            assert_eq!(running_with(&comet), [] as [String; 0], "{:?}", rig.held.level);
        }
    }
}

/// Processes with this path in their command line.
fn running_with(path: &std::path::Path) -> Vec<String> {
    let path = path.to_str().expect("text");
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).filter(|line| line.contains(path)).collect()
}

#[tokio::test]
async fn what_a_dead_keeper_left_is_swept_and_another_can_start() {
    for level in [None, Some(KillLevel::BestEffort)] {
        let mut rig = Rig::with_level(level).await;
        let pids =
            rig.start_printing(shell(attempt(1), "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait"), 2).await;
        let error = sweep(rig.path()).expect_err("a living keeper's tasks are its own");
        assert_eq!(error.kind(), domain::Kind::Precondition);
        // SAFETY: no memory is involved; it is the keeper that this rig started.
        unsafe { libc::kill(i32::try_from(rig.held.pid).expect("a number"), libc::SIGKILL) };
        rig.gone().await;
        assert!(pids.iter().all(|pid| lives(*pid)), "tasks don't die with their keeper");
        sweep(rig.path()).expect("swept");
        assert!(pids.iter().all(|pid| !lives(*pid)), "{level:?}");
        let mut rig = rig.reconnect().await;
        assert_eq!(rig.held.attempts, []);
        assert_eq!(rig.run(shell(attempt(2), "/bin/true")).await.exited().exit, Exit::Code(0));
    }
}

#[tokio::test]
async fn what_a_dead_keepers_task_wrote_is_not_lost_with_it() {
    let mut rig = Rig::new().await;
    let id = attempt(1);
    let gate = rig.path().join("gate");
    // The keeper stands still before it dies: what is written then is in the pipe alone.
    let line = format!(
        "echo $$; until [ -e '{0}' ]; do sleep 0.01; done; echo late; touch '{0}.ed'; sleep 1000",
        gate.display()
    );
    rig.keeper.start(shell(id, &line)).await.expect("sent");
    let (mut arrived, mut custody, mut pid) = (Totals::default(), None, String::new());
    while custody.is_none() || pid.is_empty() {
        match rig.next().await {
            KeeperEvent::Frame(frame) => {
                arrived.add(&frame);
                pid.push_str(&String::from_utf8_lossy(&frame.data));
            }
            KeeperEvent::Custody { attempt, custody: of } if attempt == id => custody = Some(of),
            other => assert!(matches!(other, KeeperEvent::Started { .. }), "{other:?}"),
        }
    }
    let keeper = i32::try_from(rig.held.pid).expect("a number");
    let orphans = || vec![Orphan { attempt: id, arrived, custody: custody.clone() }];
    assert_eq!(salvage(rig.path(), orphans()).expect("looked"), None, "a living keeper's tasks are its own");
    // SAFETY: no memory is involved; it is the keeper that this rig started.
    unsafe { libc::kill(keeper, libc::SIGSTOP) };
    std::fs::write(&gate, "").expect("written");
    while !gate.with_extension("ed").exists() {
        tokio::task::yield_now().await;
    }
    // SAFETY: as above.
    unsafe { libc::kill(keeper, libc::SIGKILL) };
    rig.gone().await;
    assert!(lives(pid.trim().parse().expect("a number")), "it has not ended by a closed pipe");
    let frames = salvage(rig.path(), orphans()).expect("looked").expect("it is dead");
    let [Frame { number, offset, data, dropped: 0, .. }] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((*number, *offset, &data[..]), (arrived.frames + 1, arrived.stdout, &b"late\n"[..]));
    assert!(!lives(pid.trim().parse().expect("a number")));
}

#[tokio::test]
async fn what_a_dead_keeper_had_in_its_hands_is_counted_and_what_was_on_disk_is_found() {
    let mut rig = Rig::new().await;
    let id = attempt(1);
    let done = rig.path().join("done");
    let line = format!(
        "sleep 0.3; head -c 30000000 /dev/zero; echo $$ > '{0}.new'; mv '{0}.new' '{0}'; sleep 1000",
        done.display()
    );
    rig.keeper.detached(true).await.expect("sent");
    rig.keeper.start(shell(id, &line)).await.expect("sent");
    let (mut arrived, mut custody) = (Totals::default(), None);
    while custody.is_none() || arrived.frames == 0 {
        match rig.next().await {
            KeeperEvent::Frame(frame) => arrived.add(&frame),
            KeeperEvent::Custody { custody: of, .. } => custody = Some(of),
            other => assert!(matches!(other, KeeperEvent::Started { .. }), "{other:?}"),
        }
    }
    while !done.exists() {
        tokio::task::yield_now().await;
    }
    // All is out of the pipe, and whoever answers another request isn't within a read of it: how much that one took
    // nobody would know, and the stream would end there.
    let pid = std::fs::read_to_string(&done).expect("a number");
    let pipe = std::fs::File::open(format!("/proc/{}/fd/1", pid.trim())).expect("its stdout");
    while rustix::io::ioctl_fionread(&pipe).expect("asked") > 0 {
        tokio::task::yield_now().await;
    }
    rig.keeper.start(shell(attempt(2), ":")).await.expect("sent");
    loop {
        match rig.next().await {
            KeeperEvent::Frame(frame) => arrived.add(&frame),
            KeeperEvent::Exited(_) => break,
            _ => {}
        }
    }
    // SAFETY: no memory is involved; it is the keeper that this rig started.
    unsafe { libc::kill(i32::try_from(rig.held.pid).expect("a number"), libc::SIGKILL) };
    // Frames that this worker was sent and has not looked at are lost with it here: they are counted or on disk.
    let frames = salvage(rig.path(), vec![Orphan { attempt: id, arrived, custody }]).expect("looked").expect("dead");
    let mut totals = arrived;
    for frame in &frames {
        assert_eq!((frame.number, frame.offset), (totals.frames + 1, totals.stdout));
        assert!(frame.data.iter().all(|byte| *byte == 0));
        totals.add(frame);
    }
    assert_eq!(totals.stdout, 30_000_000, "{} frames", frames.len());
}

#[tokio::test]
async fn a_keeper_told_to_end_kills_its_tasks_says_so_and_goes() {
    let mut rig = Rig::new().await;
    let id = attempt(1);
    let pids = rig.start_printing(shell(id, "echo $$; exec sleep 1000"), 1).await;
    rig.keeper.shutdown(true, Duration::ZERO).await.expect("sent");
    let mut exit = None;
    loop {
        match rig.next().await {
            KeeperEvent::Exited(exited) => exit = Some(exited.exit),
            KeeperEvent::Gone(_) => break,
            KeeperEvent::Held(_)
            | KeeperEvent::Started { .. }
            | KeeperEvent::Frame(_)
            | KeeperEvent::Progressed { .. }
            | KeeperEvent::Custody { .. } => {}
        }
    }
    assert_eq!(exit, Some(Exit::Killed));
    assert!(pids.iter().all(|pid| !lives(*pid)));
}
