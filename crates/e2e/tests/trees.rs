//! Whatever a task does to outlive its cancellation or its timeout: with a cgroup leaf nothing is left of it. Without any
//! cgroup what is left is counted and published.
//!
//! Worker, keeper and tasks are in a pids cgroup of the row's own, so that nothing can hide from the count. Each row prints
//! a line of JSON. `BATON_TRIES=20` tries each sort so often.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gateway, Process, binary, eventually, finished, shell, skip, witness};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use wire::v1;

/// Tries of each sort, unless it is said otherwise.
const TRIES: usize = 4;
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(300);
/// What a whole tree may take beyond that (GUARANTEES G8).
const BOUND: Duration = Duration::from_secs(2);
/// How long those may run that are ended by their timeout.
const LIMIT: Duration = Duration::from_secs(2);
/// Processes that a fork loop can be, with worker and keeper.
const PIDS: usize = 80;

/// What holds out, and how.
const SORTS: [(&str, &str); 6] = [
    ("setsid", "setsid sleep 1000 & READY; sleep 1000"),
    ("env -i", "env -i /usr/bin/setsid /bin/sleep 1000 & READY; sleep 1000"),
    ("double fork", "(setsid sh -c 'sleep 1000 & exec sleep 1000' &); READY; sleep 1000"),
    ("ignored SIGTERM", "trap '' TERM; sh -c 'while :; do sleep 1000; done' & READY; while :; do sleep 1000; done"),
    ("stopped child", "sh -c 'kill -STOP $$' & READY; wait"),
    ("orphan holding the pipe", "(setsid sh -c \"trap '' TERM; while :; do sleep 1000; done\" &); READY; sleep 1000"),
];

fn tries() -> usize {
    std::env::var("BATON_TRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(TRIES)
}

/// How it is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Cancel,
    Timeout,
}

/// A pids cgroup, removed when it is empty.
struct Fence(PathBuf);

impl Fence {
    /// `None` where none can be made.
    fn new(name: &str) -> Option<Self> {
        let name = format!("baton-trees-{}-{name}", std::process::id());
        let places = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
        let path = places.map(|place| Path::new(place).join(&name)).into_iter().find(|path| {
            fs::create_dir(path).is_ok() && (path.join("pids.max").exists() || fs::remove_dir(path).is_err())
        });
        path.map(Self)
    }

    /// The beginning of a shell line that puts the shell into it.
    fn enter(&self) -> String {
        format!("echo 0 > {}/cgroup.procs && exec ", self.0.display())
    }

    fn limit(&self, pids: &str) {
        fs::write(self.0.join("pids.max"), pids).unwrap();
    }

    /// Processes in it and below, with those that have ended and that nobody has reaped yet: they count for its limit.
    fn count(&self) -> usize {
        fs::read_to_string(self.0.join("pids.current")).unwrap().trim().parse().unwrap()
    }

    /// Living processes in it and below, but for our own two.
    fn members(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![self.0.clone()];
        while let Some(dir) = open.pop() {
            let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            found.extend(pids.lines().filter_map(|pid| pid.parse::<u32>().ok()).filter(|pid| is_other(*pid)));
            let below = fs::read_dir(&dir).into_iter().flatten().flatten();
            open.extend(below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
        }
        found
    }
}

/// Whether it lives and is neither worker nor keeper.
fn is_other(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let own = line.starts_with(b"baton-keeper") || line.windows(7).any(|w| w == b"--slots");
    !own && stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

impl Drop for Fence {
    fn drop(&mut self) {
        let mut open = vec![self.0.clone()];
        let mut found = Vec::new();
        while let Some(dir) = open.pop() {
            let below = fs::read_dir(&dir).into_iter().flatten().flatten();
            open.extend(below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
            found.push(dir);
        }
        // Those below first. What something is in stays.
        found.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
    }
}

/// A cluster whose worker is inside the fence, and how it kills.
struct Row {
    // In this order: it ends what is inside the fence.
    cluster: Cluster,
    fence: Fence,
    level: String,
}

impl Row {
    /// As `user` if one is given, with a keeper of no better level than this.
    async fn start(name: &str, level: Option<&str>, user: Option<&str>) -> Option<Self> {
        let fence = Fence::new(name)?;
        let mut cluster = Cluster::empty();
        cluster.slots = u32::try_from(tries()).unwrap();
        cluster.worker_args = vec!["--kill-grace".into(), "300ms".into()];
        cluster.start_scheduler();
        cluster.start_gateway();
        let data = cluster.dir().join("w0");
        fs::create_dir(&data).unwrap();
        // The tasks of another user write there.
        for dir in [cluster.dir(), &data] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let worker = cluster.worker_command(0);
        let become_user = user.map(|user| format!("setpriv --reuid={user} --regid={user} --clear-groups "));
        let line = format!("{}{}\"$0\" \"$@\"", fence.enter(), become_user.unwrap_or_default());
        if let Some(level) = level {
            // The name by which keepers go.
            let wrapped = line.replace("\"$0\" \"$@\"", "bash -c 'exec -a baton-keeper \"$0\" \"$@\"' \"$0\" \"$@\"");
            let mut keeper = Command::new("sh");
            keeper.args(["-c", &wrapped]).arg(binary("worker")).arg("keeper").arg(&data).arg(level);
            let mut process = Process::start("keeper", cluster.dir(), &mut keeper);
            assert_eq!(process.line(), "ready");
            // It ends when it is told to, or with the row's directory.
            std::mem::forget(process);
        }
        let mut inside = Command::new("sh");
        inside.args(["-c", &line]).arg(worker.get_program()).args(worker.get_args()).current_dir(cluster.dir());
        inside.env("HOME", "/");
        let mut process = Process::start("w0", cluster.dir(), &mut inside);
        process.listening();
        cluster.workers.push(Some(process));
        let level = loop {
            let workers = cluster.client().list_workers(v1::ListWorkersRequest {}).await;
            if let Some(worker) = workers.ok().and_then(|answer| answer.into_inner().workers.into_iter().next()) {
                break worker.kill_level;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Some(Self { cluster, fence, level })
    }

    /// So many at once of this line, in which READY says that all is as it should be; they are to be so many processes.
    async fn round(&self, sort: &str, line: &str, way: Way, at_once: usize, processes: usize) -> Ended {
        let ready = self.cluster.dir().join(format!("{}.{way:?}", sort.replace(' ', "-")));
        let before = witness(&ready).len();
        let line = line.replace("READY", &format!("echo $$ >> {}", ready.display()));
        let timeout_secs = if way == Way::Timeout { LIMIT.as_secs() as i32 } else { 0 };
        let mut ids = Vec::new();
        let gateway = self.cluster.client();
        for _ in 0..at_once {
            let spec = v1::TaskSpec { timeout_secs, ..shell(&line) };
            ids.push(gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id);
        }
        eventually("all of them", || (witness(&ready).len() == before + at_once).then_some(()));
        let mut processes = eventually("enough processes", || {
            Some(self.fence.members().len()).filter(|found| way == Way::Timeout || *found >= processes)
        });
        let mut since = Instant::now();
        match way {
            // From the last acknowledgement, and the last start.
            Way::Cancel => {
                cancel(&gateway, &ids).await;
                since = Instant::now();
            }
            Way::Timeout => since += LIMIT,
        }
        let gone = eventually("an end", || {
            let left = self.fence.members().len();
            processes = processes.max(left);
            let late = since.elapsed() > GRACE + BOUND;
            (left == 0 || late).then_some((left, since.elapsed()))
        });
        let (late, took) = gone;
        let state = if way == Way::Cancel { "cancelled" } else { "timed_out" };
        for id in &ids {
            let task = finished(&gateway, id).await;
            assert_eq!((task.state.as_str(), task.attempts.len()), (state, 1), "{sort}: {task:#?}");
        }
        // On a busy machine an end may be late; what is left when its task is over is left for good.
        Ended { processes, late, survivors: self.fence.members().len(), took }
    }

    /// All sorts, both ways.
    async fn all(&self) -> Vec<serde_json::Value> {
        let mut rows = Vec::new();
        for (sort, line) in SORTS {
            for way in [Way::Cancel, Way::Timeout] {
                let ended = self.round(sort, line, way, tries(), 2 * tries()).await;
                rows.push(self.row(sort, way, &[ended]));
                self.sweep();
            }
        }
        rows
    }

    /// A loop that forks until it may not, one at a time.
    async fn fork_loop(&self) -> Vec<serde_json::Value> {
        // A shell would end when it may not fork.
        let bomb = "while (1) { fork; select(undef, undef, undef, 0.005); }";
        let line = format!("env -i /usr/bin/setsid /usr/bin/perl -e '{bomb}' & READY; exec sleep 1000");
        if !Path::new("/usr/bin/perl").exists() {
            skip("no perl for a loop of forks");
            return Vec::new();
        }
        let idle = self.fence.count();
        self.fence.limit(&PIDS.to_string());
        let mut rows = Vec::new();
        for way in [Way::Cancel, Way::Timeout] {
            let mut ends = Vec::new();
            for _ in 0..tries() {
                ends.push(self.round("fork loop", &line, way, 1, PIDS / 2).await);
                self.sweep();
                eventually("all of it to be reaped", || (self.fence.count() <= idle).then_some(()));
            }
            rows.push(self.row("fork loop", way, &ends));
        }
        self.fence.limit("max");
        rows
    }

    /// Each of its processes starts the next, in a session of its own and without environment, and ends.
    async fn comet(&self) -> Vec<serde_json::Value> {
        let comet = self.cluster.dir().join("comet");
        fs::write(&comet, "env -i setsid /bin/sh COMET &\n".replace("COMET", comet.to_str().unwrap())).unwrap();
        let line = format!("sh {}; READY; exec sleep 1000", comet.display());
        let mut ends = Vec::new();
        for _ in 0..tries() {
            ends.push(self.round("comet", &line, Way::Cancel, 1, 1).await);
            // The next ends it wherever it is.
            fs::rename(&comet, comet.with_extension("away")).unwrap();
            self.sweep();
            fs::rename(comet.with_extension("away"), &comet).unwrap();
        }
        vec![self.row("comet", Way::Cancel, &ends)]
    }

    /// What is left must not count for the next.
    fn sweep(&self) {
        eventually("an empty fence", || {
            let left = self.fence.members();
            for pid in left.iter().filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(*pid).ok()?)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            left.is_empty().then_some(())
        });
    }

    fn row(&self, sort: &str, way: Way, ends: &[Ended]) -> serde_json::Value {
        let survivors: usize = ends.iter().map(|end| end.survivors).sum();
        let late: usize = ends.iter().map(|end| end.late).sum();
        let row = json!({"row": "process trees", "late": late, "level": self.level, "sort": sort, "by": format!("{way:?}"),
            "tries": tries(), "processes": ends.iter().map(|end| end.processes).max(), "survivors": survivors,
            "slowest_ms": ends.iter().map(|end| e2e::ms(end.took)).fold(0.0, f64::max)});
        println!("{row}");
        row
    }
}

struct Ended {
    /// That ran before.
    processes: usize,
    /// That still ran after the grace and the bound.
    late: usize,
    /// That ran on when their tasks had ended.
    survivors: usize,
    /// Until none was left, if none was.
    took: Duration,
}

async fn cancel(gateway: &Gateway, ids: &[String]) {
    for id in ids {
        let request = v1::CancelTaskRequest { task_id: id.clone(), wait: false };
        gateway.clone().cancel_task(request).await.unwrap();
    }
}

fn assert_none_left(rows: &[serde_json::Value]) {
    assert!(rows.iter().all(|row| row["survivors"] == 0), "{rows:#?}");
}

#[tokio::test]
async fn with_the_best_there_is_nothing_is_left() {
    let Some(row) = Row::start("best", None, None).await else { return skip("no cgroup of pids can be made here") };
    if row.level == "best-effort" {
        return skip("no cgroup leaf can be had here");
    }
    assert_none_left(&row.all().await);
    assert_none_left(&row.fork_loop().await);
    assert_none_left(&row.comet().await);
}

#[tokio::test]
async fn with_a_leaf_of_the_first_version_nothing_is_left() {
    let Some(row) = Row::start("v1", Some("cgroup-v1"), None).await else {
        return skip("no cgroup of pids can be made here");
    };
    if row.level != "cgroup-v1" {
        return skip("no cgroup v1 can be had here");
    }
    assert_none_left(&row.all().await);
    assert_none_left(&row.fork_loop().await);
    assert_none_left(&row.comet().await);
}

/// Whether anybody may reach what lies in this directory.
fn is_open_to_others(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|dir| dir.permissions().mode() & 0o001 != 0)
}

#[tokio::test]
async fn without_any_cgroup_what_is_left_is_published_and_the_worker_says_best_effort() {
    if !std::env::temp_dir().ancestors().all(is_open_to_others) {
        return skip("the temporary directory is closed to other users");
    }
    let Some(row) = Row::start("nobody", None, Some("65534")).await else {
        return skip("no cgroup of pids can be made here");
    };
    assert_eq!(row.level, "best-effort");
    let rows = [row.all().await, row.fork_loop().await, row.comet().await].concat();
    let left: u64 = rows.iter().filter_map(|row| row["survivors"].as_u64()).sum();
    println!("{}", json!({"row": "process trees without any cgroup", "level": row.level, "survivors": left}));
    // What doesn't scrub its environment is found in any case.
    let scrubbed = ["env -i", "fork loop", "comet"];
    let honest = rows.iter().filter(|row| !scrubbed.iter().any(|sort| row["sort"] == *sort));
    assert_none_left(&honest.cloned().collect::<Vec<_>>());
}
