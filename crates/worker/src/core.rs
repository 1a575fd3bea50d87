//! The loop: owns the session and everything that runs, and is the only one to change them.
//!
//! Events come in, as many as there are; the session handles them; then its effects are carried out, so that one message
//! to the scheduler carries what many events caused.

use crate::{
    data_dir::DataDir,
    direct::{self, Command, Direct, is_direct},
    docker::DockerEvent,
    executors::Executors,
    in_process::Ended,
    keeper::{KeeperEvent, KeeperOptions},
    leaving::Leaving,
    link::Link,
    meters::Meters,
    seen::Seen,
    traced::Traced,
    transport,
};
use domain::{AttemptId, Exit, Monotonic, Progress, Totals, UnixMillis};
use service::{Readiness, Stopping};
use session::{Input, Session};
use std::time::{Duration, Instant, SystemTime};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use wire::v1;

/// The session's clock ticks so often at least: heartbeats and silence are counted in seconds.
const TICK: Duration = Duration::from_millis(250);
/// Events that are handled before anything is carried out, at most: an answer must not wait for ever.
const BURST: usize = 1_024;

/// Everything the loop owns.
pub(crate) struct Core {
    pub began: Instant,
    pub session: Session,
    pub executors: Executors,
    pub direct: Direct,
    pub data_dir: DataDir,
    pub seen: Seen,
    pub keeper_options: KeeperOptions,
    pub keeper_events: mpsc::Receiver<KeeperEvent>,
    pub progress: mpsc::Receiver<(AttemptId, Progress)>,
    pub docker_events: mpsc::Receiver<DockerEvent>,
    pub commands: mpsc::Receiver<Command>,
    pub session_events: transport::SessionEvents,
    pub output_events: transport::OutputEvents,
    pub session_link: Link<v1::WorkerResponse>,
    pub output_link: Link<v1::OutputFrames>,
    pub readiness: Readiness,
    pub stopping: Stopping,
    pub leaving: Leaving,
    /// The first signal ends the tasks already.
    pub end_tasks_on_stop: bool,
    /// How long detaching may take.
    pub stop_within: Duration,
    pub meters: Meters,
    pub traced: Traced,
    pub slots: u32,
    /// For each message on the output stream.
    pub worker: v1::OutputFrames,
    /// The scheduler's address, for messages.
    pub scheduler: String,
    /// Why there was no contact the last time, so that it is said once.
    pub trouble: String,
    /// What the keeper was told last: whether the scheduler is away.
    pub detached: bool,
}

/// What the loop waits for.
enum Event {
    Session(transport::Event<v1::WorkerResponse, v1::TaskAssignment>),
    Output(transport::Event<v1::OutputFrames, v1::OutputAcks>),
    Keeper(Option<KeeperEvent>),
    Progress(AttemptId, Progress),
    Ended(Ended),
    Docker(DockerEvent),
    Command(Command),
    Room,
    Tick,
    Stop,
    Hurry,
}

impl Core {
    /// Runs until it is told to stop and has put everything away.
    ///
    /// # Errors
    /// The keeper died and can't be started again.
    pub async fn run(mut self) -> service::Result<()> {
        let mut ticks = interval(TICK);
        self.meters = Meters::begin(self.slots);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.carry_out().await;
        loop {
            let event = self.next(&mut ticks).await;
            self.take(event).await?;
            self.take_more().await?;
            self.carry_out().await;
            if self.may_leave() {
                self.put_away().await;
                return Ok(());
            }
        }
    }

    async fn next(&mut self, ticks: &mut tokio::time::Interval) -> Event {
        let due = self.session.next_tick().map(|at| self.began + at.0);
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(event) = self.session_events.recv() => Event::Session(event),
            Some(event) = self.output_events.recv() => Event::Output(event),
            event = self.keeper_events.recv() => Event::Keeper(event),
            Some((attempt, progress)) = self.progress.recv() => Event::Progress(attempt, progress),
            ended = self.executors.in_process.next() => Event::Ended(ended),
            Some(event) = self.docker_events.recv() => Event::Docker(event),
            Some(command) = self.commands.recv() => Event::Command(command),
            () = self.session_link.room() => Event::Room,
            () = self.output_link.room() => Event::Room,
            _ = ticks.tick() => Event::Tick,
            () = due => Event::Tick,
            () = self.stopping.requested(), if self.leaving.is_staying() => Event::Stop,
            () = self.stopping.hurried(), if !self.leaving.is_ending() => Event::Hurry,
        }
    }

    /// Takes what else is there already.
    async fn take_more(&mut self) -> service::Result<()> {
        for _ in 0..BURST {
            let event = if let Ok(event) = self.session_events.try_recv() {
                Event::Session(event)
            } else if let Ok(event) = self.keeper_events.try_recv() {
                Event::Keeper(Some(event))
            } else if let Some(ended) = self.executors.in_process.try_next() {
                Event::Ended(ended)
            } else if let Ok(event) = self.output_events.try_recv() {
                Event::Output(event)
            } else {
                return Ok(());
            };
            self.take(event).await?;
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> service::Result<()> {
        match event {
            Event::Session(event) => self.session_event(event),
            Event::Output(event) => self.output_event(event),
            Event::Keeper(Some(KeeperEvent::Gone(why))) => self.keeper_gone(&why).await?,
            Event::Keeper(None) => self.keeper_gone("its connection ended").await?,
            Event::Keeper(Some(event)) => self.keeper_event(event).await,
            Event::Progress(attempt, progress) => self.progressed(attempt, progress),
            Event::Ended(ended) => self.ended(ended),
            Event::Docker(event) => self.docker_event(event).await,
            Event::Command(command) => self.command(command).await,
            Event::Room => {}
            Event::Tick => {
                self.seen.save(&self.data_dir, false);
                self.give(Input::Tick);
            }
            Event::Stop => self.stop().await,
            Event::Hurry => self.hurry().await,
        }
        Ok(())
    }

    /// Time on this process's clock.
    pub(crate) fn now(&self) -> Monotonic {
        Monotonic(self.began.elapsed())
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.session.handle(self.now(), input);
    }

    pub(crate) fn progressed(&mut self, attempt: AttemptId, progress: Progress) {
        if is_direct(attempt) {
            self.direct.progressed(attempt, progress, unix_ms());
        } else {
            self.give(Input::Progressed { attempt, progress });
        }
    }

    /// An attempt of this process is over; what it said before comes first.
    pub(crate) fn ended(&mut self, ended: Ended) {
        while let Ok((attempt, progress)) = self.progress.try_recv() {
            self.progressed(attempt, progress);
        }
        let Ended { attempt, exit, result, run_us } = ended;
        self.exited(attempt, exit, Totals::default(), result, run_us, true);
    }

    pub(crate) fn started(&mut self, attempt: AttemptId) {
        self.meters.started();
        if is_direct(attempt) {
            self.direct.started(attempt, unix_ms());
        } else {
            self.give(Input::Started { attempt });
        }
    }

    pub(crate) fn exited(
        &mut self,
        attempt: AttemptId,
        exit: Exit,
        totals: Totals,
        result: Vec<u8>,
        run_us: u64,
        tree_gone: bool,
    ) {
        self.meters.exited(&exit, run_us);
        self.traced.end(attempt, &exit, run_us);
        if is_direct(attempt) {
            self.direct.exited(attempt, &exit, &result, unix_ms());
            let count = self.direct.count();
            self.give(Input::Borrowed(count));
        } else {
            self.give(Input::Exited { attempt, exit, totals, result, run_us, tree_gone });
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Run { spec, reply } => {
                let answer = if !self.leaving.is_staying() {
                    Err(domain::Error::unavailable("this worker is stopping"))
                } else if self.session.free_slots() == 0 {
                    Err(domain::Error::new(domain::Kind::Exhausted, "no slot is free on this worker"))
                } else {
                    self.direct.begin(unix_ms())
                };
                let attempt = answer.as_ref().ok().map(|running: &direct::Running| running.attempt);
                // If the caller is gone already, nothing may start.
                if reply.send(answer).is_ok()
                    && let Some(attempt) = attempt
                {
                    let count = self.direct.count();
                    self.give(Input::Borrowed(count));
                    let spec = std::sync::Arc::from(spec);
                    self.start(domain::Start { attempt, spec, class: 0, entry: None }).await;
                } else if let Some(attempt) = attempt {
                    self.direct.exited(attempt, &Exit::Killed, &[], unix_ms());
                }
            }
            Command::Abandon(attempt) => {
                if self.direct.attempts().contains(&attempt) {
                    self.executors.kill(attempt).await;
                }
            }
        }
    }
}

/// The wall clock, for people.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// As [`unix_ms`].
pub(crate) fn wall() -> UnixMillis {
    UnixMillis(i64::try_from(unix_ms()).unwrap_or(i64::MAX))
}
