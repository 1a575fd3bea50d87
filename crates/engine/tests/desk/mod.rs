//! A desk to try the engine on: time in seconds, tasks and workers by small numbers and short names.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod shelf;

use domain::{
    AttemptId, AttemptNo, Container, DockerRun, Epoch, Error, Event, EventKind, Exit, Fact, HandlerRun, Hello,
    IdempotencyKey, Incarnation, KillLevel, Loaded, Monotonic, Now, Offer, Order, Report, ReportKind, Result,
    RetryPolicy, Run, ShellRun, Spec, StateWord, Tail, TaskId, Totals, UnixMillis, WaitReason, WorkerId, Write,
};
use engine::{Accepted, Caller, Config, Effect, Engine, Input, NewTask, Reply, SessionId};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub struct Desk {
    pub engine: Engine,
    pub now: f64,
    report: u64,
    /// Effects of the last input.
    pub effects: Vec<Effect>,
    pub writes: Vec<Write>,
    pub shelf: shelf::Shelf,
    /// What the engine wants to be read is answered at once; else when a test says so.
    pub reads: bool,
    pub asked: Vec<domain::Want>,
}

pub fn id(n: u16) -> TaskId {
    TaskId::from_parts(1_000, 0, n, 7)
}

pub fn attempt(task: u16, no: u32) -> AttemptId {
    AttemptId { task: id(task), no: AttemptNo(no) }
}

pub fn shell() -> Spec {
    Spec {
        name: "test".into(),
        description: String::new(),
        run: Run::Shell(ShellRun { command: "true".into(), ..ShellRun::default() }),
        timeout: None,
        retry: RetryPolicy { max_retries: 0 },
        on_lost: domain::OnLost::Retry,
        key: None,
        worker: None,
        labels: BTreeMap::new(),
        priority: 0,
        queue: "default".into(),
        run_at: None,
        start_within: None,
        array: None,
        trace: None,
        trace_state: String::new(),
    }
}

pub fn handler(name: &str) -> Spec {
    Spec { name: name.into(), run: Run::Handler(HandlerRun::default()), ..shell() }
}

pub fn container() -> Spec {
    let container = Container { image: "busybox".into(), ..Container::default() };
    Spec { run: Run::Docker(DockerRun::Run(container)), ..shell() }
}

pub fn key(key: u8, body: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: [key; 16], body: [body; 16] })
}

pub fn hello(name: &str) -> Hello {
    Hello {
        worker: WorkerId::new(name),
        incarnation: Incarnation("boot-1".into()),
        labels: BTreeMap::new(),
        shell: true,
        docker: false,
        handlers: std::collections::BTreeSet::new(),
        demo: false,
        opened: 0,
        highest_epoch: Epoch(0),
        held: Vec::new(),
        slots: 1,
        address: String::new(),
        kill_level: Some(KillLevel::CgroupV2),
        version: String::new(),
    }
}

impl Desk {
    pub fn new() -> Self {
        Self::load(Loaded::default(), engine::WINDOW)
    }

    /// With windows of so many tasks.
    pub fn small(window: usize) -> Self {
        Self::load(Loaded::default(), window)
    }

    /// The scheduler is killed and starts again from what is committed.
    pub fn restart(&mut self) {
        let config = config(engine::WINDOW);
        self.engine = Engine::load(clocks(self.now), config, self.shelf.load(1_000));
        self.settle();
    }

    pub fn load(loaded: Loaded, window: usize) -> Self {
        let engine = Engine::load(clocks(0.0), config(window), loaded);
        let (effects, writes, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut desk =
            Self { engine, now: 0.0, report: 0, effects, writes, shelf: shelf::Shelf::default(), reads: true, asked };
        desk.settle();
        desk
    }

    pub fn tell(&mut self, input: Input) -> &mut Self {
        let facts: Vec<Fact> = self.engine.needs(&input).iter().map(|need| self.shelf.fact(need)).collect();
        self.engine.handle(clocks(self.now), input, &facts);
        self.effects = self.engine.effects();
        self.writes.clear();
        self.settle();
        self
    }

    /// Commits, and reads ahead, until there is nothing more to do.
    pub fn settle(&mut self) {
        loop {
            let sealed = self.engine.seal();
            self.shelf.commit(&sealed.writes, &sealed.tallies);
            self.engine.committed(&sealed.writes);
            self.writes.extend(sealed.writes);
            self.asked.append(&mut self.engine.wants());
            if self.asked.is_empty() || !self.reads {
                return;
            }
            for want in std::mem::take(&mut self.asked) {
                let answer = self.shelf.read(&want);
                self.engine.ahead(clocks(self.now), answer);
            }
            self.effects.append(&mut self.engine.effects());
        }
    }

    /// Lets time pass, doing what is due on the way.
    pub fn pass(&mut self, seconds: f64) -> &mut Self {
        let end = self.now + seconds;
        let mut effects = Vec::new();
        while let Some(due) = self.engine.next_deadline().map(|d| d.0.as_secs_f64()).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tell(Input::Tick);
            effects.append(&mut self.effects);
        }
        self.now = end;
        self.effects = effects;
        self
    }

    pub fn submit(&mut self, n: u16, spec: Spec) -> &mut Self {
        self.tell(Input::Submit { caller: Caller(1), tasks: vec![new(n, spec)], repeated: false, brief: false })
    }

    pub fn accepted(&self) -> Result<Vec<Accepted>> {
        self.effects
            .iter()
            .find_map(|e| match e {
                Effect::Reply(_, Reply::Submitted(result)) => Some(result.clone()),
                _ => None,
            })
            .unwrap_or_else(|| Err(Error::internal("no reply")))
    }

    pub fn waiting(&self) -> Option<WaitReason> {
        self.accepted().ok().and_then(|a| a.first().and_then(|a| a.waiting.clone()))
    }

    pub fn cancel(&mut self, n: u16) -> Result<StateWord> {
        self.cancel_id(id(n))
    }

    pub fn cancel_id(&mut self, task: TaskId) -> Result<StateWord> {
        self.tell(Input::Cancel { caller: Caller(2), tasks: vec![task] });
        self.effects
            .iter()
            .find_map(|e| match e {
                Effect::Reply(_, Reply::Cancelled(results)) => results.first().cloned(),
                _ => None,
            })
            .unwrap_or_else(|| Err(Error::internal("no reply")))
    }

    pub fn hello(&mut self, session: u64, hello: Hello) -> &mut Self {
        self.report = 0;
        self.tell(Input::Hello { session: SessionId(session), hello: Box::new(hello) })
    }

    /// A worker with so many slots is there and offers them all.
    pub fn worker(&mut self, session: u64, name: &str, slots: u64) -> &mut Self {
        self.hello(session, hello(name)).offer(session, slots, 0)
    }

    pub fn offer(&mut self, session: u64, starts: u64, prefetch: u32) -> &mut Self {
        let offer = Some(Offer { starts, prefetch });
        self.tell(Input::Update { session: SessionId(session), reports: Vec::new(), offer })
    }

    pub fn report(&mut self, session: u64, attempt: AttemptId, kind: ReportKind) -> &mut Self {
        self.report += 1;
        let reports = vec![Report { number: self.report, attempt, kind }];
        self.tell(Input::Update { session: SessionId(session), reports, offer: None })
    }

    pub fn started(&mut self, session: u64, task: u16, no: u32) -> &mut Self {
        self.report(session, attempt(task, no), ReportKind::Started)
    }

    pub fn exit(&mut self, session: u64, task: u16, no: u32, exit: Exit) -> &mut Self {
        self.report(session, attempt(task, no), exited(exit, Totals::default()))
    }

    /// Where a task stands; "gone" once it is final and committed.
    pub fn state(&self, n: u16) -> &'static str {
        self.word(id(n))
    }

    pub fn word(&self, id: TaskId) -> &'static str {
        let word = self.shelf.word(id).filter(|word| !word.is_final());
        word.map_or("gone", StateWord::as_str)
    }

    /// The orders of the last input: `start 1#2`, `kill 1#1`, `forget 3`, `welcome`.
    pub fn orders(&self) -> Vec<String> {
        let name = |a: &AttemptId| {
            let index = a.task.index().map_or_else(String::new, |index| format!(".{index}"));
            format!("{}{index}#{}", a.task.row_key() & 0x7fff, a.no)
        };
        let order = |e: &Effect| match e {
            Effect::Order(SessionId(s), order) => Some(match order {
                Order::Welcome(_) => format!("{s}: welcome"),
                Order::Start(start) => format!("{s}: start {}", name(&start.attempt)),
                Order::Kill(a) => format!("{s}: kill {}", name(a)),
                Order::Recall(a) => format!("{s}: recall {}", name(a)),
                Order::Forget(n) => format!("{s}: forget {n}"),
                Order::Drain => format!("{s}: drain"),
            }),
            Effect::Close(SessionId(s), error) => Some(format!("{s}: close {}", error.text())),
            Effect::Reply(..) | Effect::Publish { .. } | Effect::Waited(_) => None,
        };
        self.effects.iter().filter_map(order).collect()
    }

    /// The events of the last input, in words.
    pub fn events(&self) -> Vec<String> {
        let event = |e: &Effect| match e {
            Effect::Publish { event: Event { stamp, kind, .. }, .. } => {
                Some(format!("{} {}", stamp.event, words(kind)))
            }
            Effect::Order(..) | Effect::Reply(..) | Effect::Close(..) | Effect::Waited(_) => None,
        };
        self.effects.iter().filter_map(event).collect()
    }
}

pub fn new(n: u16, spec: Spec) -> NewTask {
    NewTask { id: id(n), spec: Arc::new(spec), entries: Vec::new(), retry: None }
}

fn config(window: usize) -> Config {
    Config {
        lost_after: Duration::from_secs(60),
        silence: Duration::from_secs(15),
        store_id: "store".into(),
        epoch: Epoch(1),
        window,
    }
}

pub fn exited(exit: Exit, totals: Totals) -> ReportKind {
    ReportKind::Exited { exit, totals, tail: Tail::default(), result: Vec::new(), run_us: 1_000, tree_gone: true }
}

fn words(kind: &EventKind) -> String {
    match kind {
        EventKind::Accepted => "accepted".into(),
        EventKind::Begun => "begun".into(),
        EventKind::Dispatched(worker) => format!("dispatched {worker}"),
        EventKind::Started(worker) => format!("started {worker}"),
        EventKind::Progressed(progress) => format!("progress {}", progress.percent),
        EventKind::CancelRequested => "cancel requested".into(),
        EventKind::AttemptEnded(ending, _) => format!("ended: {}", ending.text()),
        EventKind::Finished(end, code) => format!("finished: {} ({code})", end.text()),
    }
}

fn clocks(now: f64) -> Now {
    Now { mono: Monotonic(Duration::from_secs_f64(now)), wall: UnixMillis((now * 1_000.0) as i64) }
}
