//! A stage: a task whose life the test decides, on real stores, with the actor running.

use crate::story::{Handle, Inlet, Stored, StoryItem, assemble};
use domain::*;
use futures_util::StreamExt as _;
use output::{Output, Placed, segment::SegmentStore};
use std::{collections::BTreeMap, io, sync::Arc, sync::mpsc::Receiver, time::Duration};
use store::{Expiry, Store as _, sqlite::SqliteStore};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// What output waits for before it is written, each time, and what the disk says then; `None`: it is written at once.
pub type Gate = Option<Receiver<io::Result<()>>>;

pub struct Stage {
    dir: TempDir,
    store: SqliteStore,
    epoch: Epoch,
    pub story: Handle,
    actor: JoinHandle<()>,
    inlet: Inlet,
    pub task: Task,
    /// Output of the current attempt so far.
    pub totals: Totals,
    under_way: Vec<Stored>,
    /// What is committed and not yet published, while that is held back.
    held: Option<Vec<(Event, Tail)>>,
    /// The task's state as committed.
    word: StateWord,
}

struct Gated(SegmentStore, Gate);

impl Output for Gated {
    fn append(&mut self, frames: &[Placed]) -> io::Result<()> {
        if let Some(gate) = &self.1 {
            // A gate that is gone is open.
            gate.recv().unwrap_or(Ok(()))?;
        }
        self.0.append(frames)
    }
    fn totals(&self, attempt: AttemptId) -> Totals {
        self.0.totals(attempt)
    }
    fn expire(&mut self, segments: &[u64]) -> io::Result<()> {
        self.0.expire(segments)
    }
}

/// Small enough for a test to seal some.
const SEGMENT_BYTES: u32 = 1_000;

fn raise(dir: &TempDir, store: &SqliteStore, gate: Gate) -> (Handle, JoinHandle<()>) {
    let output = SegmentStore::with_segments_of(&dir.path().join("output"), SEGMENT_BYTES).unwrap();
    let reader = output.reader();
    let (story, actor) = assemble(Box::new(Gated(output, gate)), reader, store.reader(), |_, _| {}).unwrap();
    (story, tokio::spawn(actor))
}

fn inlet(story: &Handle) -> Inlet {
    story.inlet(WorkerId::new("w1"), Incarnation("dir@boot".into()))
}

/// A task that waits, as it is accepted.
pub fn accepted(array: Option<ArraySpec>) -> Task {
    let stamp = Stamp { event: 1, at: UnixMillis(1) };
    let spec = Spec {
        name: "sample".into(),
        description: String::new(),
        run: Run::Handler(HandlerRun::default()),
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
        array,
        trace: None,
        trace_state: String::new(),
    };
    let books = spec.array.as_ref().map(|array| Members::new(array.ranges.len(), StateWord::Queued));
    Task {
        id: TaskId::from_parts(1_700_000_000_000, 0, 1, 2),
        spec: Arc::new(spec),
        ready_seq: 1,
        accepted: stamp,
        state: State::Pending(Wait::Queued),
        ended: Vec::new(),
        backed_off: Vec::new(),
        cancel: None,
        finished: None,
        events: 1,
        progress: Progress::default(),
        result: Vec::new(),
        updated: stamp.at,
        array: books,
        entry: None,
        retry_of: None,
    }
}

/// The class of a task.
pub fn class(task: &Task) -> Arc<ClassKey> {
    Arc::new(ClassKey::of(&task.spec))
}

/// A task's first row.
pub fn insert(task: &Task) -> Write {
    Write::Insert { task: Arc::new(task.clone()), class: class(task) }
}

/// An attempt of this number, dispatched by this event.
pub fn attempt(no: AttemptNo, dispatched: Stamp) -> Attempt {
    let (worker, incarnation) = (WorkerId::new("w1"), Incarnation("dir@boot".into()));
    Attempt { no, worker, incarnation, dispatched, started: None, ended: None, totals: Totals::default() }
}

impl Stage {
    pub async fn new(gate: Gate) -> Self {
        Self::with(accepted(None), gate).await
    }

    pub async fn with(task: Task, gate: Gate) -> Self {
        let mut stage = Self::empty(task, gate);
        stage.accept().await;
        stage
    }

    /// With a reader that was there before the task was.
    pub async fn expected(output: bool) -> (Self, JoinHandle<Vec<StoryItem>>) {
        let mut stage = Self::empty(accepted(None), None);
        let items = stage.story.expect(stage.task.id, output).await.unwrap();
        let reader = tokio::spawn(items.map(Result::unwrap).collect());
        stage.accept().await;
        (stage, reader)
    }

    fn empty(task: Task, gate: Gate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let epoch = store.begin().unwrap().epoch;
        let (story, actor) = raise(&dir, &store, gate);
        let inlet = inlet(&story);
        let (totals, under_way, held, word) = (Totals::default(), Vec::new(), None, StateWord::Queued);
        Self { dir, store, epoch, story, actor, inlet, task, totals, under_way, held, word }
    }

    async fn accept(&mut self) {
        let by = i64::try_from(self.task.members()).unwrap();
        let tallies = vec![Tally { class: class(&self.task), word: self.word, by }];
        self.commit_all(vec![insert(&self.task)], tallies);
        self.publish(self.task.accepted, 0, EventKind::Accepted, Tail::default()).await;
    }

    pub fn attempt(&self) -> Option<AttemptNo> {
        self.task.live_id().map(|attempt| attempt.no)
    }

    /// Commits the task as it stands now, and these.
    fn commit(&mut self, mut writes: Vec<Write>) {
        writes.push(Write::Update(Arc::new(self.task.clone())));
        let (class, before, now) = (class(&self.task), self.word, self.task.state.word());
        self.word = now;
        let tally = |word, by| Tally { class: Arc::clone(&class), word, by };
        let tallies = if before == now { Vec::new() } else { vec![tally(before, -1), tally(now, 1)] };
        self.commit_all(writes, tallies);
    }

    pub fn commit_all(&mut self, writes: Vec<Write>, tallies: Vec<Tally>) {
        self.store.commit(&Batch { epoch: self.epoch, writes, tallies, ready_seq: 9 }).unwrap();
    }

    async fn publish(&mut self, stamp: Stamp, attempt: u32, kind: EventKind, tail: Tail) {
        self.tell(Event { task: self.task.id, stamp, attempt, kind }, tail).await;
    }

    /// Publishes, unless that is held back.
    pub async fn tell(&mut self, event: Event, tail: Tail) {
        match &mut self.held {
            Some(held) => held.push((event, tail)),
            None => self.story.publish(vec![(event, tail)]).await,
        }
    }

    /// From now on nothing committed is published.
    pub fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// What was held back is published.
    pub async fn let_go(&mut self) {
        let held = self.held.take().unwrap_or_default();
        self.story.publish(held).await;
    }

    fn stamp(&mut self) -> Stamp {
        let at = UnixMillis(self.task.events as i64);
        self.task.stamp(at)
    }

    pub async fn dispatch(&mut self) {
        let no = self.task.next_attempt();
        let dispatched = self.stamp();
        let attempt = attempt(no, dispatched);
        let worker = attempt.worker.clone();
        self.task.state = State::Dispatched(attempt);
        self.totals = Totals::default();
        self.commit(Vec::new());
        self.publish(dispatched, no.0, EventKind::Dispatched(worker), Tail::default()).await;
    }

    pub async fn progress(&mut self) {
        let stamp = self.commit_progress();
        let no = self.attempt().map_or(0, |no| no.0);
        self.publish(stamp, no, EventKind::Progressed(Progress { percent: 1, message: "on".into() }), Tail::default())
            .await;
    }

    /// Commits without publishing, as a commit whose answer was lost.
    pub fn commit_progress(&mut self) -> Stamp {
        let stamp = self.stamp();
        let (task, attempt) = (self.task.id, self.attempt().map_or(0, |no| no.0));
        let progress = Progress { percent: 1, message: "on".into() };
        self.commit(vec![Write::Progressed { task, stamp, attempt, progress }]);
        stamp
    }

    /// The next frame of an attempt.
    fn cut(&mut self, no: AttemptNo) -> Frame {
        let number = self.totals.frames + 1;
        let stream = if number.is_multiple_of(3) { StreamName::Stderr } else { StreamName::Stdout };
        let offset = if stream == StreamName::Stdout { self.totals.stdout } else { self.totals.stderr };
        let attempt = AttemptId { task: self.task.id, no };
        let data = format!("{no}.{number};").into_bytes().into();
        let frame = Frame { attempt, number, stream, offset, at: UnixMillis(7), data, dropped: 0 };
        self.totals.add(&frame);
        frame
    }

    /// Sends frames of an attempt, not waiting until they are stored.
    pub async fn write(&mut self, no: AttemptNo, count: usize) -> Vec<Frame> {
        let frames: Vec<Frame> = (0..count).map(|_| self.cut(no)).collect();
        self.send(frames.clone()).await;
        frames
    }

    pub async fn send(&mut self, frames: Vec<Frame>) {
        let stored = self.inlet.put(frames).await.unwrap();
        self.under_way.push(stored);
    }

    /// Waits until everything sent is stored.
    pub async fn stored(&mut self) {
        for stored in self.under_way.drain(..) {
            stored.await.unwrap().unwrap();
        }
    }

    /// The attempt is lost; the task goes on, at once or after a while.
    pub async fn lose(&mut self) {
        let Some(live) = self.task.state.live().cloned() else { return };
        let (stamp, no) = (self.stamp(), live.no.0);
        self.task.ended.push(Attempt { ended: Some((stamp, Ending::Lost)), ..live });
        self.task.backed_off.push(None);
        self.task.state = State::Pending(Wait::Queued);
        self.commit(Vec::new());
        self.publish(stamp, no, EventKind::AttemptEnded(Ending::Lost, None), Tail::default()).await;
    }

    /// The attempt exits with this many frames in its tail; the task ends once the others are stored.
    pub async fn finish(&mut self, tail: usize) {
        self.stored().await;
        let Some(live) = self.task.state.live().cloned() else { return };
        let after = self.task.events;
        let frames: Vec<Frame> = (0..tail).map(|_| self.cut(live.no)).collect();
        let (stamp, no) = (self.stamp(), live.no.0);
        let ended = Some((stamp, Ending::Exited(Exit::Code(0))));
        self.task.ended.push(Attempt { ended, totals: self.totals, ..live });
        self.task.backed_off.push(None);
        self.task.state = State::Final(Final::Completed);
        self.task.finished = Some(stamp);
        self.commit(vec![Write::Tail { after, frames: frames.clone() }]);
        self.publish(stamp, no, EventKind::Finished(Final::Completed, 0), Tail(frames)).await;
    }

    /// A new reign in the same process.
    pub async fn reset(&mut self) {
        self.epoch = self.store.begin().unwrap().epoch;
        let tasks = self.store.load().unwrap().tasks;
        self.story.reset(tasks).await;
    }

    /// All that has ended is deleted from the store.
    pub fn expire(&mut self) -> u64 {
        let step = Expiry { before: UnixMillis(i64::MAX), after: 0, limit: 100, time: Duration::MAX };
        self.store.expire(self.epoch, &step).unwrap().tasks
    }

    /// A new process: what wasn't stored is sent again.
    pub async fn restart(&mut self) {
        self.stored().await;
        self.actor.abort();
        (self.story, self.actor) = raise(&self.dir, &self.store, None);
        self.inlet = inlet(&self.story);
        self.reset().await;
    }

    /// Reads a story to its end, or `limit` items of it.
    pub async fn story(&self, after: StoryId, output: bool, limit: usize) -> Vec<StoryItem> {
        collect(self.story.clone(), self.task.id, after, output, limit).await
    }

    /// A reader of a task that is attached when this returns, and reads to the end.
    pub async fn attach(&self, task: TaskId, output: bool) -> JoinHandle<Vec<StoryItem>> {
        let items = self.story.watch(task, StoryId::default(), output).await.unwrap();
        tokio::spawn(items.map(Result::unwrap).collect())
    }

    /// A reader that attaches soon and reads to the end.
    pub fn follow(&self, after: StoryId, output: bool) -> JoinHandle<Vec<StoryItem>> {
        tokio::spawn(collect(self.story.clone(), self.task.id, after, output, usize::MAX))
    }

    /// The bytes of a stream from an offset.
    pub fn bytes(&self, name: StreamName, offset: u64, no: Option<AttemptNo>, follow: bool) -> JoinHandle<String> {
        let (story, task) = (self.story.clone(), self.task.id);
        tokio::spawn(async move {
            let frames = story.read_output(task, name, offset, no, follow).await.unwrap();
            let frames: Vec<Frame> = frames.map(Result::unwrap).collect().await;
            let skip = frames.first().map_or(0, |first| offset.saturating_sub(first.offset)) as usize;
            let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.data).collect();
            String::from_utf8(bytes[skip..].to_vec()).unwrap()
        })
    }
}

async fn collect(story: Handle, task: TaskId, after: StoryId, output: bool, limit: usize) -> Vec<StoryItem> {
    let items = story.watch(task, after, output).await.unwrap();
    items.take(limit).map(Result::unwrap).collect().await
}
