//! Durable task-writes a second, in batches: `cargo bench -p store`. Three commits a task, as in a task's life.

use domain::{
    Attempt, AttemptNo, Batch, Epoch, Final, HandlerRun, Incarnation, Progress, RetryPolicy, Run, Spec, Stamp, State,
    Task, TaskId, Totals, UnixMillis, Wait, WorkerId, Write,
};
use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration, time::Instant};
use store::{Store, sqlite::SqliteStore};

const TASKS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    for batch in [1_000, 100] {
        let dir = tempfile::tempdir_in(".")?;
        let mut store = SqliteStore::open(dir.path())?;
        let epoch = store.begin()?.epoch;
        let begin = Instant::now();
        for first in (0..TASKS).step_by(batch) {
            let tasks: Vec<Task> = (first..first + batch as u64).map(queued).collect();
            commit(&mut store, epoch, tasks.iter().map(|task| Write::Insert(Arc::new(task.clone()))))?;
            let sent = tasks.iter().map(|task| with(task, State::Dispatched(attempt())));
            commit(&mut store, epoch, sent.map(|task| Write::Update(Arc::new(task))))?;
            let done = tasks.iter().map(|task| with(task, State::Final(Final::Completed)));
            commit(&mut store, epoch, done.map(|task| Write::Update(Arc::new(task))))?;
        }
        let rate = 3.0 * TASKS as f64 / begin.elapsed().as_secs_f64();
        println!("batches of {batch}: {rate:.0} task-writes/s, {:.0} tasks/s", rate / 3.0);
    }
    Ok(())
}

fn commit(store: &mut SqliteStore, epoch: Epoch, writes: impl Iterator<Item = Write>) -> Result<(), store::Failure> {
    store.commit(&Batch { epoch, writes: writes.collect() }).map(drop)
}

fn queued(n: u64) -> Task {
    let accepted = Stamp { event: 1, at: UnixMillis(1_700_000_000_000) };
    Task {
        id: TaskId::from_parts(1_700_000_000_000 + n / 1_000, 0, (n % 1_000) as u16, n),
        spec: Arc::new(Spec {
            name: "noop".into(),
            description: String::new(),
            run: Run::Handler(HandlerRun::default()),
            timeout: Some(Duration::from_secs(300)),
            retry: RetryPolicy { max_retries: 0 },
            key: None,
            worker: None,
            labels: BTreeMap::new(),
            priority: 0,
            queue: "default".into(),
        }),
        ready_seq: n + 1,
        accepted,
        state: State::Pending(Wait::Queued),
        ended: Vec::new(),
        backed_off: Vec::new(),
        cancel: None,
        finished: None,
        events: 1,
        progress: Progress::default(),
        result: Vec::new(),
        updated: accepted.at,
    }
}

fn attempt() -> Attempt {
    let at = UnixMillis(1_700_000_000_500);
    Attempt {
        no: AttemptNo::FIRST,
        worker: WorkerId::new("worker-1"),
        incarnation: Incarnation("0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88@0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88".into()),
        dispatched: Stamp { event: 2, at },
        started: Some(Stamp { event: 3, at }),
        ended: None,
        totals: Totals::default(),
    }
}

fn with(task: &Task, state: State) -> Task {
    let mut task = task.clone();
    if state.is_final() {
        task.ended = vec![attempt()];
        task.finished = Some(Stamp { event: 4, at: UnixMillis(1_700_000_000_900) });
    }
    task.state = state;
    task
}
