//! A keeper of its own for a test, and waiting for what it says.

use domain::{AttemptId, AttemptNo, Frame, KillLevel, ShellRun, StreamName, TaskId, WorkerId};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::mpsc::Receiver, time::timeout};
use worker::keeper::{Exited, HeldByKeeper, Keeper, KeeperEvent, KeeperOptions, Launch, LaunchCommand};

/// More than any test needs; it only bounds a failing one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test runs: what waits for it hangs.
pub const LONG: Duration = Duration::from_secs(600);

/// A data directory, its keeper, and one connection to it.
pub struct Rig {
    dir: Option<TempDir>,
    pub keeper: Keeper,
    pub held: HeldByKeeper,
    events: Receiver<KeeperEvent>,
    options: KeeperOptions,
}

/// A data directory whose keeper has no worker.
pub struct Gone {
    dir: Option<TempDir>,
    options: KeeperOptions,
}

impl Gone {
    /// A new worker comes.
    pub async fn connect(self) -> Rig {
        let Self { dir, options } = self;
        let (keeper, held, events) = open(dir.as_ref().expect("a directory").path(), &options).await;
        Rig { dir, keeper, held, events, options }
    }
}

/// All that came of one attempt up to its exit.
#[derive(Debug, Default)]
pub struct Story {
    pub started: bool,
    pub frames: Vec<Frame>,
    pub progress: Vec<(u8, String)>,
    pub exited: Option<Exited>,
}

impl Story {
    /// The bytes of a stream, in order.
    pub fn bytes(&self, stream: StreamName) -> Vec<u8> {
        self.frames.iter().filter(|f| f.stream == stream).flat_map(|f| f.data.clone()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes(StreamName::Stdout)).into_owned()
    }

    pub fn exited(&self) -> &Exited {
        self.exited.as_ref().expect("an exit")
    }
}

/// An attempt that no other test has: without cgroups, processes are found by its name.
pub fn attempt(n: u64) -> AttemptId {
    static TESTS: AtomicU64 = AtomicU64::new(1);
    thread_local! { static TEST: u64 = TESTS.fetch_add(1, Ordering::Relaxed); }
    let random = u64::from(std::process::id()) << 20 | TEST.with(|test| *test) << 8 | n;
    AttemptId { task: TaskId::from_parts(1_700_000_000_000, 0, 1, random), no: AttemptNo::FIRST }
}

pub fn shell(attempt: AttemptId, line: &str) -> Launch {
    let run = ShellRun { command: line.into(), ..ShellRun::default() };
    Launch { attempt, command: LaunchCommand::Shell(run), entry: None, timeout: None, grace: LONG, user: None }
}

pub fn handler(attempt: AttemptId, line: &str, payload: &[u8]) -> Launch {
    let env = [("GIVEN".into(), "to it".into())].into();
    let command = LaunchCommand::Handler { command: line.into(), payload: payload.into(), env };
    Launch { attempt, command, entry: None, timeout: None, grace: LONG, user: None }
}

async fn open(dir: &Path, options: &KeeperOptions) -> (Keeper, HeldByKeeper, Receiver<KeeperEvent>) {
    let (keeper, mut events) = Keeper::open(dir, options.clone()).await.expect("a keeper");
    match events.recv().await {
        Some(KeeperEvent::Held(held)) => (keeper, held, events),
        other => panic!("first comes what is held, not {other:?}"),
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With no better way of killing.
    pub async fn with_level(level: Option<KillLevel>) -> Self {
        Self::with(|options| options.kill_level = level).await
    }

    /// With other options.
    pub async fn with(change: impl FnOnce(&mut KeeperOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut options = KeeperOptions::new(WorkerId::new("w1"), &["keeper"]);
        options.program = Some(env!("CARGO_BIN_EXE_worker").into());
        change(&mut options);
        let (keeper, held, events) = open(dir.path(), &options).await;
        Self { dir: Some(dir), keeper, held, events, options }
    }

    /// The connection breaks, as when the worker dies.
    pub fn disconnect(mut self) -> Gone {
        let dir = self.dir.take();
        // The keeper is not to end with the rig.
        self.held.pid = 0;
        Gone { dir, options: self.options.clone() }
    }

    /// The connection breaks and a new worker comes.
    pub async fn reconnect(self) -> Self {
        self.disconnect().connect().await
    }

    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("a directory").path()
    }

    pub async fn next(&mut self) -> KeeperEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("an event")
    }

    /// Collects one attempt's events until `done`.
    pub async fn until(&mut self, id: AttemptId, done: impl Fn(&Story) -> bool) -> Story {
        let mut story = Story::default();
        while !done(&story) {
            match self.next().await {
                KeeperEvent::Started { attempt, .. } if attempt == id => story.started = true,
                KeeperEvent::Frame(frame) if frame.attempt == id => story.frames.push(frame),
                KeeperEvent::Progressed { attempt, progress } if attempt == id => {
                    story.progress.push((progress.percent, progress.message));
                }
                KeeperEvent::Exited(exited) if exited.attempt == id => story.exited = Some(exited),
                KeeperEvent::Gone(why) => panic!("the keeper is gone: {why}"),
                KeeperEvent::Held(_)
                | KeeperEvent::Started { .. }
                | KeeperEvent::Frame(_)
                | KeeperEvent::Progressed { .. }
                | KeeperEvent::Custody { .. }
                | KeeperEvent::Exited(_) => {}
            }
        }
        story
    }

    /// Starts it and waits for its exit.
    pub async fn run(&mut self, launch: Launch) -> Story {
        let id = launch.attempt;
        self.keeper.start(launch).await.expect("sent");
        self.until(id, |story| story.exited.is_some()).await
    }

    /// Starts a line that prints `count` process numbers, and waits for these.
    pub async fn start_printing(&mut self, launch: Launch, count: usize) -> Vec<i32> {
        let id = launch.attempt;
        self.keeper.start(launch).await.expect("sent");
        let story = self.until(id, |story| story.text().lines().count() >= count).await;
        story.text().lines().map(|line| line.trim().parse().expect("a number")).collect()
    }

    /// The connection's end.
    pub async fn gone(&mut self) {
        while !matches!(self.next().await, KeeperEvent::Gone(_)) {}
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The keeper ends its tasks and itself; SIGTERM, because a test that failed can't await.
        let pid = i32::try_from(self.held.pid).unwrap_or_default();
        if pid > 0 {
            // SAFETY: no memory is involved; it is the keeper that this rig started, or gone.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
}

/// Whether a process runs; zombies don't.
pub fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with(['Z', 'X']))
}

/// Environment entries as `env -0` prints them.
pub fn entries(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    text.split('\0').filter_map(|e| e.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
