//! The worker's side: whether the engine answers, which attempts are containers, and that none of them is left.
//!
//! Must never wait for the engine: what it says comes as events.

use super::{
    DockerHost, container_name,
    engine::{Engine, Trouble},
    job::Job,
    note::{Failed, Held, Note, Notes},
};
use crate::keeper::{Exited, LaunchCommand};
use domain::{AttemptId, ContainerName, DockerRun, Exit, Incarnation, ShellRun, Spec, WorkerId};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How often the engine is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long it may take to say so.
const ANSWER: Duration = Duration::from_secs(3);
/// So often in a row it must not answer before it counts as away.
const SILENT: u32 = 2;
/// Every so many answers, containers that nobody wants any more are looked for.
const SWEEP_EVERY: u32 = 12;
/// A container that its tender left is ended for so long before its attempt's end is reported without the proof.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// A tender has so long beyond the grace to end its container before it is killed itself.
const TENDER_GRACE: Duration = Duration::from_secs(15);
/// Events on their way to the loop. When full, their senders wait.
const EVENTS: usize = 64;
/// The argument that makes this program a tender.
pub(crate) const TENDER: &str = "tender";

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum DockerEvent {
    /// The engine is there now, or is not.
    Answers(bool),
    /// Containers with this worker's label.
    Found(Vec<AttemptId>),
    /// An attempt is over, and its container gone as far as could be seen.
    Over(Exited, Option<String>),
}

/// Everything about containers that the loop owns.
#[derive(Debug)]
pub(crate) struct Docker {
    socket: Option<PathBuf>,
    /// The engine answered when it was asked last.
    answers: bool,
    notes: Notes,
    owner: String,
    worker: WorkerId,
    /// Arguments that make this program a tender.
    arguments: Vec<String>,
    attempts: BTreeSet<AttemptId>,
    events: mpsc::Sender<DockerEvent>,
    sweep: Arc<Notify>,
    /// Dropped, and so ended, with this.
    tasks: JoinSet<()>,
}

/// Whether the engine answers right now.
pub(crate) async fn answers(host: &DockerHost) -> bool {
    match host.socket() {
        Some(socket) => socket.exists() && Engine::answers(socket, ANSWER).await.is_ok(),
        None => false,
    }
}

impl Docker {
    /// Begins to watch the engine. `keeper_arguments` make this program a keeper; the last one of them is replaced.
    pub fn new(
        host: &DockerHost,
        answers: bool,
        data_dir: &Path,
        who: (WorkerId, &Incarnation),
        keeper_arguments: &[&str],
    ) -> (Self, mpsc::Receiver<DockerEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (worker, incarnation) = who;
        let before = keeper_arguments.split_last().map_or(&[][..], |(_, before)| before);
        let (sweep, mut tasks) = (Arc::new(Notify::new()), JoinSet::new());
        // Its containers are this data directory's, on whatever boot.
        let owner = incarnation.0.split('@').next().unwrap_or_default().to_owned();
        if let Some(socket) = host.socket() {
            let watch = Watch { socket: socket.to_owned(), owner: owner.clone(), answers, events: events.clone() };
            tasks.spawn(watch.run(Arc::clone(&sweep)));
        }
        let docker = Self {
            socket: host.socket().map(Path::to_owned),
            answers,
            notes: Notes::new(data_dir),
            owner,
            worker,
            arguments: before.iter().copied().chain([TENDER]).map(str::to_owned).collect(),
            attempts: BTreeSet::new(),
            events,
            sweep,
            tasks,
        };
        (docker, receiver)
    }

    /// The engine came or went.
    pub fn answers(&mut self, answers: bool) {
        self.answers = answers;
    }

    /// The tender of an attempt, or why there can be none. What is in its environment beside the marks of every task, the
    /// container finds too.
    pub fn launch(
        &mut self,
        attempt: AttemptId,
        spec: &Spec,
        run: DockerRun,
        env: BTreeMap<String, String>,
        grace: Duration,
    ) -> Result<LaunchCommand, String> {
        let Some(socket) = self.socket.clone() else { return Err("this worker has no Docker engine".to_owned()) };
        if !self.answers {
            return Err("the Docker engine does not answer".to_owned());
        }
        let held = match &run {
            DockerRun::Run(_) => Held::Made,
            DockerRun::Start(ContainerName(name)) => Held::Lent(name.clone()),
            DockerRun::Stop(_) | DockerRun::Logs(_) => Held::Nothing,
        };
        self.notes.begin(attempt, held).map_err(|error| format!("no note of it can be made: {error}"))?;
        self.attempts.insert(attempt);
        let (owner, worker) = (self.owner.clone(), self.worker.as_str().to_owned());
        let job = Job { attempt, run, socket, grace, owner, worker, note: self.notes.path(attempt) };
        Ok(LaunchCommand::Shell(ShellRun {
            // This very program, even if another one lies in its place by now or the keeper is an older one.
            command: format!("/proc/{}/exe", std::process::id()),
            // The note's path is only for people who look at the list of processes.
            args: self.arguments.iter().cloned().chain([job.note.to_string_lossy().into_owned()]).collect(),
            working_dir: Some("/".to_owned()),
            env,
            stdin: job.encode(spec),
        }))
    }

    /// How long the process of an attempt has to end by itself.
    pub fn grace(&self, attempt: AttemptId, grace: Duration) -> Duration {
        if self.attempts.contains(&attempt) { grace + TENDER_GRACE } else { grace }
    }

    /// A keeper was found or started, and holds these. Containers of all others are to be ended.
    pub fn adopt(&mut self, there: &BTreeSet<AttemptId>) {
        self.attempts.clear();
        for attempt in self.notes.all().into_keys() {
            if there.contains(&attempt) {
                self.attempts.insert(attempt);
            } else {
                self.notes.forget(attempt);
            }
        }
        self.sweep.notify_one();
    }

    /// All of an attempt is stored.
    pub fn forget(&mut self, attempt: AttemptId) {
        if self.attempts.remove(&attempt) {
            self.notes.forget(attempt);
        }
    }

    /// Takes an exit if it is a tender's: it comes back as an event once the container is gone.
    pub fn settle(&mut self, exited: Exited) -> Option<Exited> {
        if !self.attempts.contains(&exited.attempt) {
            return Some(exited);
        }
        while self.tasks.try_join_next().is_some() {}
        let (path, socket, events) = (self.notes.path(exited.attempt), self.socket.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let (exited, lost) = settled(exited, &path, socket.as_deref()).await;
            // The loop has ended: the next process does it again.
            let _ = events.send(DockerEvent::Over(exited, lost)).await;
        });
        None
    }

    /// Ends these containers of this worker: their attempts are over.
    pub fn remove(&mut self, attempts: Vec<AttemptId>) {
        let Some(socket) = self.socket.clone() else { return };
        self.tasks.spawn(async move {
            for attempt in attempts {
                let removed = match Engine::at(&socket) {
                    Ok(engine) => engine.remove(&container_name(attempt)).await,
                    Err(trouble) => Err(trouble),
                };
                match removed {
                    Ok(()) => tracing::info!(task_id = %attempt.task, attempt = %attempt.no, "Removed a container of an attempt that is over"),
                    // It is looked for again.
                    Err(trouble) => tracing::debug!(reason = trouble.text(), "A container stays for now"),
                }
            }
        });
    }
}

/// How a tender's exit is the attempt's; and, if it is lost, why.
async fn settled(exited: Exited, note: &Path, socket: Option<&Path>) -> (Exited, Option<String>) {
    // Without a note nothing is known of a container: one that it made is looked for.
    let note = Note::read(note).unwrap_or(Note { container: Held::Made, gone: false, failed: None });
    let gone = note.gone || ended(&note.container, exited.attempt, socket).await;
    let tree_gone = exited.tree_gone && gone;
    let (exit, lost) = match (exited.exit, note.failed) {
        // Whatever it says: it was told to end.
        (exit @ (Exit::Killed | Exit::TimedOut(_)), _) => (exit, None),
        (_, Some(Failed::NotStarted(why))) => (Exit::NotStarted(why), None),
        (exit, Some(Failed::Lost(why))) => (exit, Some(why)),
        // 128 + n is how the engine says signal n.
        (Exit::Code(code @ 129..=159), None) => (Exit::Signal(code - 128), None),
        (exit @ Exit::Signal(_), None) => (exit, Some("the process that tends its container was killed".to_owned())),
        (exit, None) => (exit, None),
    };
    (Exited { exit, tree_gone, ..exited }, lost)
}

/// Sees to it that the container has ended; false if that can't be seen.
async fn ended(container: &Held, attempt: AttemptId, socket: Option<&Path>) -> bool {
    let Some(socket) = socket else { return false };
    let ending = async {
        loop {
            let done = match (Engine::at(socket), container) {
                (_, Held::Nothing) => Ok(()),
                (Ok(engine), Held::Made) => engine.remove(&container_name(attempt)).await,
                (Ok(engine), Held::Lent(name)) => engine.signal(name, "SIGKILL").await,
                (Err(trouble), Held::Made | Held::Lent(_)) => Err(trouble),
            };
            if done.is_ok() {
                return;
            }
            sleep(TRY_AGAIN).await;
        }
    };
    timeout(PATIENCE, ending).await.is_ok()
}

/// Looks after the engine.
struct Watch {
    socket: PathBuf,
    owner: String,
    answers: bool,
    events: mpsc::Sender<DockerEvent>,
}

impl Watch {
    async fn run(mut self, sweep: Arc<Notify>) {
        let (mut silent, mut since_sweep) = (0, SWEEP_EVERY);
        loop {
            let answer = match self.socket.exists() {
                true => Engine::answers(&self.socket, ANSWER).await,
                false => Err(Trouble::Away(format!("there is no {}", self.socket.display()))),
            };
            match answer {
                Ok(engine) => {
                    silent = 0;
                    if !self.tell(true).await {
                        return;
                    }
                    since_sweep += 1;
                    if since_sweep >= SWEEP_EVERY
                        && let Ok(found) = engine.owned(&self.owner).await
                    {
                        since_sweep = 0;
                        if !found.is_empty() && self.events.send(DockerEvent::Found(found)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(trouble) => {
                    silent = SILENT.min(silent) + 1;
                    since_sweep = SWEEP_EVERY;
                    // Most machines have no engine, and nobody wants to hear that; one that doesn't let us in is another matter.
                    if silent == 1 && self.socket.exists() {
                        tracing::warn!(reason = trouble.text(), "No containers for now");
                    }
                    if silent >= SILENT && !self.tell(false).await {
                        return;
                    }
                }
            }
            tokio::select! {
                () = sleep(ASK_EVERY) => {}
                () = sweep.notified() => since_sweep = SWEEP_EVERY,
            }
        }
    }

    /// Tells what has changed; false if nobody listens any more.
    async fn tell(&mut self, answers: bool) -> bool {
        if self.answers == answers {
            return true;
        }
        self.answers = answers;
        self.events.send(DockerEvent::Answers(answers)).await.is_ok()
    }
}
