//! The worker's side: finds a living keeper or starts one, then speaks to it.
//!
//! Must never wait for the keeper's answer: commands go out, events come in, and they are independent.

use super::event::{KeeperEvent, Launch, SpoolLimits};
use super::incoming::Incoming;
use super::{codec, message as m, paths::DataDir, spawn};
use domain::{AttemptId, Error, FrameNo, KillLevel, Kind, Result, WorkerId};
use std::{ffi::OsString, io, path::Path, path::PathBuf, time::Duration};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixStream, unix::OwnedWriteHalf};
use tokio::sync::mpsc;

/// Commands on their way. When full, senders wait: the keeper always reads, so that it is never for long.
const COMMANDS: usize = 256;
/// Events on their way. When full, the socket is not read and the keeper keeps the rest.
const EVENTS: usize = 256;
/// Bytes that commands gather before they are written, if more are waiting.
const WRITE_BYTES: usize = 256 * 1024;
/// How often finding or starting a keeper is tried: an old one may be about to end.
const TRIES: u32 = 50;
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// How a keeper is started and what it is told.
#[derive(Clone, Debug)]
pub struct KeeperOptions {
    /// Arguments that make this program a keeper: `["keeper"]` for `worker`, `["worker", "keeper"]` for `baton`. The
    /// keeper's own follow; [`super::run`] takes those.
    pub prefix: Vec<OsString>,
    /// The program; `None`: this one, by /proc/self/exe.
    pub program: Option<PathBuf>,
    /// Tasks find it as `BATON_WORKER_ID`.
    pub worker: WorkerId,
    /// Use no better way of killing than this, for a newly started keeper; `None`: the best there is.
    pub kill_level: Option<KillLevel>,
    /// How much output it holds that nobody takes. A living keeper takes this on, too.
    pub spool: SpoolLimits,
    /// Commands are to run as another user.
    pub switches_user: bool,
}

impl KeeperOptions {
    /// For a program that becomes a keeper by these arguments.
    pub fn new(worker: WorkerId, prefix: &[&str]) -> Self {
        let prefix = prefix.iter().map(OsString::from).collect();
        Self { prefix, program: None, worker, kill_level: None, spool: SpoolLimits::default(), switches_user: false }
    }
}

/// A handle on a keeper. Clones speak to the same one. Dropping all of them disconnects; the keeper lives on.
#[derive(Clone, Debug)]
pub struct Keeper {
    commands: mpsc::Sender<m::Command>,
}

impl Keeper {
    /// Connects to the keeper of this data directory, which must exist, or starts one (it first ends whatever a dead
    /// predecessor left running). The receiver's first event is [`KeeperEvent::Held`], its last
    /// [`KeeperEvent::Gone`]. An earlier connection to the same keeper is cut.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: the keeper can't be started, with its reason. [`Kind::Precondition`]: the living one
    /// speaks another protocol.
    pub async fn open(data_dir: &Path, options: KeeperOptions) -> Result<(Self, mpsc::Receiver<KeeperEvent>)> {
        let dir = DataDir::open(data_dir)
            .map_err(|e| Error::unavailable(format!("data directory {}: {e}", data_dir.display())))?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::connect(&dir, &options).await {
                Err(Trouble::Passing(_)) if tries < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(Trouble::Passing(error) | Trouble::Lasting(error)) => return Err(error),
                Ok(opened) => return Ok(opened),
            }
        }
    }

    async fn connect(dir: &DataDir, options: &KeeperOptions) -> Result<(Self, mpsc::Receiver<KeeperEvent>), Trouble> {
        let passing = |error| Trouble::Passing(unreachable_keeper(error));
        let stream = match UnixStream::connect(dir.socket()).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                spawn::keeper(dir, options).await.map_err(|error| match error.kind() {
                    Kind::Conflict => Trouble::Passing(Error::unavailable(error.text())),
                    _else => Trouble::Lasting(error),
                })?;
                UnixStream::connect(dir.socket()).await.map_err(passing)?
            }
            Err(error) => return Err(passing(error)),
        };
        let (read, mut write) = stream.into_split();
        let mut hello = Vec::new();
        let environment = spawn::environment(&options.worker);
        let spool = Some(codec::limits_to(options.spool));
        let greeting = m::Hello { protocol: m::PROTOCOL, environment, spool };
        codec::put(&m::ToKeeper { command: Some(m::Command::Hello(greeting)) }, &mut hello);
        write.write_all(&hello).await.map_err(passing)?;
        let mut incoming = Incoming::new(read);
        let held = incoming.next().await.map_err(|error| match error.kind() {
            // It was about to end.
            Kind::Unavailable => Trouble::Passing(error),
            _else => Trouble::Lasting(error),
        })?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let (commands, outgoing) = mpsc::channel(COMMANDS);
        // The channel is empty, so there is room.
        let _ = events.try_send(held);
        tokio::spawn(send(outgoing, write));
        tokio::spawn(receive(incoming, events));
        Ok((Self { commands }, receiver))
    }

    /// Starts an attempt. Its fate comes as events, [`domain::Exit::NotStarted`] among them.
    ///
    /// # Errors
    /// As of all commands: [`Kind::Unavailable`] if the keeper is gone.
    pub async fn start(&self, launch: Launch) -> Result<()> {
        self.send(m::Command::Start(codec::launch_to(launch))).await
    }

    /// Ends an attempt: SIGTERM to its whole tree, SIGKILL `grace` later. It then exits as [`domain::Exit::Killed`].
    /// No event if the keeper doesn't hold it or it has exited already.
    pub async fn kill(&self, attempt: AttemptId, grace: Duration) -> Result<()> {
        let attempt = codec::attempt_to(attempt);
        self.send(m::Command::Kill(m::Kill { attempt, grace_us: codec::micros(grace) })).await
    }

    /// Frames of an attempt up to this number are durable: the keeper drops them.
    pub async fn release(&self, attempt: AttemptId, number: FrameNo) -> Result<()> {
        self.send(m::Command::Release(m::Release { attempt: codec::attempt_to(attempt), number })).await
    }

    /// The exit of an attempt is durable, with all its output: the keeper drops it and its directory.
    /// Ignored while it still runs.
    pub async fn forget(&self, attempt: AttemptId) -> Result<()> {
        self.send(m::Command::Forget(codec::attempt_to(attempt).unwrap_or_default())).await
    }

    /// Whether the worker has lost its scheduler: then the keeper spools beyond its window instead of blocking tasks.
    /// A new connection begins with `false`.
    pub async fn detached(&self, detached: bool) -> Result<()> {
        self.send(m::Command::Detached(m::Detached { detached })).await
    }

    /// The keeper is to end. With `kill`: after ending all its tasks and sending their exits. Otherwise as soon as
    /// it holds nothing.
    pub async fn shutdown(&self, kill: bool, grace: Duration) -> Result<()> {
        self.send(m::Command::Shutdown(m::Shutdown { kill, grace_us: codec::micros(grace) })).await
    }

    async fn send(&self, command: m::Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| Error::unavailable("the keeper is gone"))
    }
}

/// What keeps a keeper from answering.
enum Trouble {
    /// Another try may help.
    Passing(Error),
    /// None will.
    Lasting(Error),
}

pub(super) fn unreachable_keeper(error: io::Error) -> Error {
    Error::unavailable(format!("the keeper cannot be reached: {error}"))
}

/// Writes commands, as many at once as are waiting. Ends with the connection, or when every handle is dropped.
async fn send(mut commands: mpsc::Receiver<m::Command>, mut write: OwnedWriteHalf) {
    let mut bytes = Vec::new();
    while let Some(command) = commands.recv().await {
        codec::put(&m::ToKeeper { command: Some(command) }, &mut bytes);
        while bytes.len() < WRITE_BYTES
            && let Ok(command) = commands.try_recv()
        {
            codec::put(&m::ToKeeper { command: Some(command) }, &mut bytes);
        }
        // The reader says why it broke.
        if write.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Hands events on until the connection ends or nobody listens any more.
async fn receive(mut incoming: Incoming, events: mpsc::Sender<KeeperEvent>) {
    let why = loop {
        match incoming.next().await {
            Ok(event) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => break error,
        }
    };
    let _ = events.send(KeeperEvent::Gone(why.text().to_owned())).await;
}
