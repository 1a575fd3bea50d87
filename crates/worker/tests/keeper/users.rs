//! Commands as another user: what they can do, and that they end as others do. Needs root.

use crate::rig::{LONG, Rig, attempt, lives, shell};
use domain::{Exit, KillLevel, ShellRun, StreamName};
use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};
use worker::keeper::{Launch, LaunchCommand, TaskUser};

/// A user that owns nothing.
const UID: u32 = 54_321;
const GROUPS: [u32; 2] = [54_322, 54_323];

fn as_user(launch: Launch) -> Launch {
    Launch { user: Some(TaskUser { uid: UID, gid: GROUPS[0], groups: GROUPS.to_vec() }), ..launch }
}

/// Every level that this machine has; `None` where nobody can become somebody else.
async fn rigs() -> Option<Vec<Rig>> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can become another user");
        return None;
    }
    let mut rigs = vec![Rig::new().await];
    for level in [KillLevel::CgroupV1, KillLevel::BestEffort] {
        let rig = Rig::with_level(Some(level)).await;
        if rig.held.level == level && rigs.iter().all(|r| r.held.level != level) {
            rigs.push(rig);
        }
    }
    for rig in &rigs {
        for dir in [rig.path().to_owned(), rig.path().join("tasks")] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).expect("opened");
        }
    }
    Some(rigs)
}

#[tokio::test]
async fn a_command_is_that_user_with_its_groups_and_nothing_more_for_good() {
    let Some(rigs) = rigs().await else { return };
    for mut rig in rigs {
        let line = "cat /proc/self/status; pwd; echo mine > file && cat file; ls -dn . | cut -d' ' -f1,3,4; \
                    echo anew > /dev/stderr; echo '50 half' > /dev/fd/3";
        let story = rig.run(as_user(shell(attempt(1), line))).await;
        let text = story.text();
        assert_eq!(story.exited().exit, Exit::Code(0), "{text}");
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("Uid:"), ["54321"; 4]);
        assert_eq!(line("Gid:"), ["54322"; 4]);
        assert_eq!(line("Groups:"), ["54322", "54323"]);
        assert_eq!(line("NoNewPrivs:"), ["1"]);
        for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(line(set), ["0000000000000000"], "{set}");
        }
        assert!(text.contains("\nmine\ndrwx------ 54321 54322\n"), "{text}");
        assert_eq!(story.bytes(StreamName::Stderr), b"anew\n");
        assert_eq!(story.progress, [(50, "half".to_owned())]);
    }
}

#[tokio::test]
async fn it_gets_neither_to_the_workers_files_nor_by_us_to_where_it_may_not_go() {
    let Some(rigs) = rigs().await else { return };
    for mut rig in rigs {
        let data = rig.path().display().to_string();
        let line = format!(
            "ls {data}; ls {data}/tasks; cat {data}/keeper.log {data}/keeper.lock; touch {data}/mine {data}/tasks/mine; \
             cat /proc/{}/environ; echo end >&2",
            rig.held.pid
        );
        let story = rig.run(as_user(shell(attempt(1), &line))).await;
        let errors = String::from_utf8_lossy(&story.bytes(StreamName::Stderr)).into_owned();
        assert_eq!(story.text(), "", "{errors}");
        assert!(errors.lines().filter(|line| line.contains("ermission denied")).count() >= 7, "{errors}");
        // As itself and not as the keeper.
        let closed = rig.path().join("spool");
        fs::create_dir_all(&closed).expect("a directory");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("closed");
        let run =
            ShellRun { command: "true".into(), working_dir: Some(closed.display().to_string()), ..ShellRun::default() };
        let launch = Launch { command: LaunchCommand::Shell(run), ..shell(attempt(2), "") };
        let story = rig.run(as_user(launch)).await;
        let why = format!("working directory: permission denied: {}", closed.display());
        assert_eq!(story.exited().exit, Exit::NotStarted(why));
    }
}

#[tokio::test]
async fn it_ends_by_kill_and_timeout_is_adopted_and_swept_as_others_are() {
    let Some(rigs) = rigs().await else { return };
    for mut rig in rigs {
        let line = "trap '' TERM; setsid sh -c 'echo $$; trap \"\" TERM; exec sleep 1000' & echo $$; sleep 1000; wait";
        let limit = Duration::from_millis(300);
        let timed = Launch { timeout: Some(limit), grace: Duration::ZERO, ..as_user(shell(attempt(1), line)) };
        let pids = rig.start_printing(timed, 2).await;
        let story = rig.until(attempt(1), |story| story.exited.is_some()).await;
        assert_eq!((&story.exited().exit, story.exited().tree_gone), (&Exit::TimedOut(limit), true));
        assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}", rig.held.level);

        let pids = rig.start_printing(as_user(shell(attempt(2), line)), 2).await;
        let mut rig = rig.reconnect().await;
        assert!(pids.iter().all(|pid| lives(*pid)), "{:?}", rig.held.level);
        rig.keeper.kill(attempt(2), Duration::from_millis(50)).await.expect("sent");
        let story = rig.until(attempt(2), |story| story.exited.is_some()).await;
        assert_eq!((&story.exited().exit, story.exited().tree_gone), (&Exit::Killed, true));
        assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}", rig.held.level);

        let pids = rig.start_printing(Launch { grace: LONG, ..as_user(shell(attempt(3), line)) }, 2).await;
        let keeper = i32::try_from(rig.held.pid).expect("a number");
        // SAFETY: no memory is involved; it is this rig's keeper.
        unsafe { libc::kill(keeper, libc::SIGKILL) };
        rig.gone().await;
        worker::keeper::sweep(rig.path()).expect("swept");
        assert!(pids.iter().all(|pid| !lives(*pid)), "{:?}", rig.held.level);
        rig.held.pid = 0;
    }
}
