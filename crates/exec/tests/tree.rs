//! Trees end, whatever is in them.

use domain::KillLevel::{self, BestEffort, CgroupV1, CgroupV2};
use exec::start::{Child, Command, Program, Started, Starter};
use exec::tree::{Cookie, Tree, Trees, sweep};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// More than any test needs; it only bounds a failing one.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tree name that no other test has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("baton-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The levels that this machine has; a bare machine has only the last.
fn levels() -> Vec<KillLevel> {
    let has = |level| Trees::open(&name(), Some(level)).level() == level;
    [CgroupV2, CgroupV1, BestEffort].into_iter().filter(|level| has(*level)).collect()
}

/// A started line that has written `ready` lines; each names a process that must end.
struct Running {
    child: Child,
    tree: Tree,
    members: Vec<i32>,
    _stdout: OwnedFd,
}

fn cookie(name: &str) -> Cookie {
    Cookie(vec![format!("COOKIE={name}").into_bytes()])
}

fn run(trees: &mut Trees, name: &str, line: &str, ready: usize) -> Running {
    run_with(trees, name, line, ready, 0)
}

/// The same with so many variables more.
fn run_with(trees: &mut Trees, name: &str, line: &str, ready: usize, variables: usize) -> Running {
    let more = (0..variables).map(|n| (format!("V{n}").into_bytes(), Vec::new()));
    let env: BTreeMap<Vec<u8>, Vec<u8>> = [("PATH", "/usr/bin:/bin"), ("COOKIE", name)]
        .map(|(k, v)| (k.into(), v.into()))
        .into_iter()
        .chain(more)
        .collect();
    let mut tree = trees.take(cookie(name)).expect("a tree");
    let command = Command { program: Program::Line(line), env: &env, dir: Path::new("/"), stdin: b"", user: None };
    let started = Starter::new().expect("a starter").start(&command, &mut tree).expect("it starts");
    let Started { child, stdout, .. } = started;
    // SAFETY: a valid descriptor; from here on it blocks.
    unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETFL, 0) };
    let lines = BufReader::new(File::from(stdout.try_clone().expect("a copy"))).lines().take(ready);
    let members: Vec<i32> = lines.map(|l| l.expect("a line").trim().parse().expect("a number")).collect();
    assert_eq!(members.len(), ready);
    Running { child, tree, members, _stdout: stdout }
}

/// Whether a process runs; zombies don't.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with(['Z', 'X']))
}

/// Whether all of them have ended. One that has left its cgroup runs nothing any more, but is a zombie a moment later.
fn all_end(members: &[i32]) -> bool {
    let end = Instant::now() + PATIENCE;
    while members.iter().any(|pid| lives(*pid)) && Instant::now() < end {
        std::thread::yield_now();
    }
    !members.iter().any(|pid| lives(*pid))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// Lines that print the numbers of processes that hold out in one way or another, and how many.
const STUBBORN: [(&str, usize); 5] = [
    ("trap '' TERM; echo $$; while :; do sleep 1000; done", 1),
    ("setsid sh -c 'echo $$; trap \"\" TERM; exec sleep 1000' & echo $$; wait", 2),
    ("(setsid sh -c 'echo $$; exec sleep 1000' &) ; echo $$; sleep 1000", 2),
    ("sh -c 'echo $$; kill -STOP $$' & echo $$; wait", 2),
    ("env -i setsid /bin/sh -c 'echo $$; exec sleep 1000' & echo $$; wait", 2),
];

#[test]
fn every_level_ends_all_of_a_tree() {
    for level in levels() {
        for (line, count) in STUBBORN {
            let name = name();
            let mut trees = Trees::open(&name, Some(level));
            let mut running = run(&mut trees, &name, line, count);
            assert!(!running.tree.is_empty().expect("readable"), "{line}");
            until(&format!("{level:?}: {line}"), || {
                running.tree.kill().expect("killed");
                running.tree.is_empty().expect("readable")
            });
            assert!(all_end(&running.members), "{level:?}: {line}");
            until("the child is a zombie", || running.child.reap().expect("a child").is_some());
            trees.give_back(running.tree);
        }
    }
}

#[test]
fn a_process_that_is_always_on_its_way_into_another_program_is_not_missed() {
    let line = r#"L='exec sh -c "$L"'; export L; (setsid sh -c 'echo $$; exec sh -c "$L"' &); echo $$"#;
    for _ in 0..100 {
        let name = name();
        let mut trees = Trees::open(&name, Some(BestEffort));
        let mut running = run(&mut trees, &name, line, 2);
        until("the child has ended", || running.child.peek().expect("a child").is_some());
        until("the orphan is gone", || {
            running.tree.kill().expect("killed");
            running.tree.is_empty().expect("readable")
        });
        assert!(all_end(&running.members));
        let _ = running.child.reap();
    }
}

#[test]
fn a_process_whose_variables_are_being_counted_is_not_missed() {
    // The kernel counts the variables of a new program one by one: with many, the process is often met while it does.
    let often = "env ".repeat(100);
    let line =
        format!(r#"L='exec {often} sh -c "$L"'; export L; (setsid sh -c 'echo $$; exec sh -c "$L"' &); echo $$"#);
    let name = name();
    let mut trees = Trees::open(&name, Some(BestEffort));
    let mut running = run_with(&mut trees, &name, &line, 2, 10_000);
    // Who looks for the first time knows of no earlier look.
    let mut misses = || trees.take(cookie(&name)).expect("a tree").is_empty().expect("readable");
    let missed = (0..500).filter(|_| misses()).count();
    until("the orphan is gone", || {
        running.tree.kill().expect("killed");
        running.tree.is_empty().expect("readable")
    });
    assert!(all_end(&running.members));
    assert_eq!(missed, 0);
    let _ = running.child.reap();
}

#[test]
fn with_cgroups_even_scrubbed_orphans_end() {
    for level in levels().into_iter().filter(|level| *level < BestEffort) {
        let name = name();
        let mut trees = Trees::open(&name, Some(level));
        let line = "(env -i setsid /bin/sh -c 'echo $$; trap \"\" TERM; while :; do sleep 1000; done' &); echo $$";
        let mut running = run(&mut trees, &name, line, 2);
        until("the child has ended", || running.child.peek().expect("a child").is_some());
        assert!(!running.tree.is_empty().expect("readable"), "the orphan is seen");
        until("the orphan is gone", || {
            running.tree.kill().expect("killed");
            running.tree.is_empty().expect("readable")
        });
        assert!(all_end(&running.members), "{level:?}");
        let _ = running.child.reap();
        trees.give_back(running.tree);
    }
}

#[test]
fn terminating_asks_every_process_even_stopped_ones() {
    for level in levels() {
        let name = name();
        let mut trees = Trees::open(&name, Some(level));
        let line = "setsid sh -c 'echo $$; exec sleep 1000' & sh -c 'echo $$; kill -STOP $$' & echo $$; wait";
        let mut running = run(&mut trees, &name, line, 3);
        until(&format!("{level:?}"), || {
            running.tree.terminate().expect("asked");
            running.tree.is_empty().expect("readable")
        });
        let _ = running.child.reap();
        trees.give_back(running.tree);
    }
}

#[test]
fn leaves_serve_one_tree_after_another_and_are_removed_in_the_end() {
    for level in levels().into_iter().filter(|level| *level < BestEffort) {
        let name = name();
        let mut trees = Trees::open(&name, Some(level));
        // Killed ones among them: the next tree must not be killed with them.
        for line in ["echo $$", "echo $$; exec sleep 1000", "echo $$; :", "echo $$; exec sleep 1000", "echo $$"] {
            let mut running = run(&mut trees, &name, line, 1);
            until("gone", || {
                if line.contains("sleep") {
                    running.tree.kill().expect("killed");
                }
                running.tree.is_empty().expect("readable")
            });
            let _ = running.child.reap();
            trees.give_back(running.tree);
            let leaves = find(Path::new("/sys/fs/cgroup"), &name);
            assert!(matches!(leaves.as_slice(), [0 | 1]), "{level:?}: {leaves:?}");
        }
        drop(trees);
        assert!(find(Path::new("/sys/fs/cgroup"), &name).is_empty(), "{level:?}");
    }
}

/// How many leaves each directory of this name has.
fn find(below: &Path, name: &str) -> Vec<usize> {
    let dirs = |path: &Path| -> Vec<_> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
    };
    let here = below.join(name);
    let own = here.is_dir().then(|| dirs(&here).len());
    own.into_iter().chain(dirs(below).iter().filter(|p| !p.ends_with(name)).flat_map(|p| find(p, name))).collect()
}

#[test]
fn a_sweep_ends_what_a_dead_owner_left() {
    for level in levels() {
        let name = name();
        let mut trees = Trees::open(&name, Some(level));
        let running = run(&mut trees, &name, "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait", 2);
        // Its owner is gone: nothing is given back.
        std::mem::forget(running.tree);
        std::mem::forget(trees);
        let swept = sweep(&name, vec![cookie(&name)]).expect("swept");
        assert!(swept.gone && swept.trees > 0, "{level:?}: {swept:?}");
        assert!(all_end(&running.members), "{level:?}");
        let _ = running.child.reap();
        assert_eq!(find(Path::new("/sys/fs/cgroup"), &name), [] as [usize; 0], "{level:?}");
    }
}
