//! What reads cost on many rows: `cargo bench -p store --bench reads -- 10000000`. A tenth is queued, a twentieth failed,
//! the rest completed; an array of a million waits behind them.

mod samples;

use domain::*;
use samples::{attempt, queued, with};
use std::{error::Error, fs, sync::Arc, time::Duration, time::Instant};
use store::{Expiry, Failure, Reader, Store, sqlite::SqliteStore};

const ROWS: u64 = 1_000_000;
const BATCH: u64 = 10_000;
const REPEATS: u64 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let rows = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(ROWS);
    let dir = tempfile::tempdir_in(".")?;
    let mut store = SqliteStore::open(dir.path())?;
    let epoch = store.begin()?.epoch;
    for first in (0..rows).step_by(BATCH as usize) {
        let tasks: Vec<Task> = (first..first + BATCH).map(|n| task(n, rows)).collect();
        fill(&mut store, epoch, &tasks)?;
    }
    fill(&mut store, epoch, &[array(rows)])?;
    println!("{rows} rows");
    let begin = Instant::now();
    drop(store);
    let mut store = SqliteStore::open(dir.path())?;
    let epoch = store.begin()?.epoch;
    store.load()?;
    println!("open and load: {:?}", begin.elapsed());
    reads(store.reader().as_ref(), rows)?;
    writer(&mut store, epoch, rows)?;
    println!("resident: {}", resident());
    Ok(())
}

fn task(n: u64, rows: u64) -> Task {
    let task = queued(n);
    if n >= rows - rows / 10 {
        return task;
    }
    let end = if n.is_multiple_of(20) { Final::Failed("exit code 1".into()) } else { Final::Completed };
    let mut task = with(&task, State::Final(end));
    if n.is_multiple_of(100_000) {
        Arc::make_mut(&mut task.spec).name = "rare".into();
    }
    task.ended = vec![attempt()];
    task
}

fn array(rows: u64) -> Task {
    let mut array = queued(rows);
    let ranges = Ranges::parse("1-1000000").ok();
    Arc::make_mut(&mut array.spec).array = ranges.map(|ranges| ArraySpec { ranges, entries: false });
    array.array = Some(Members::new(1_000_000, StateWord::Queued));
    array
}

fn fill(store: &mut SqliteStore, epoch: Epoch, tasks: &[Task]) -> Result<(), Failure> {
    let mut tallies: Vec<Tally> = Vec::new();
    let mut writes = Vec::new();
    for task in tasks {
        let (class, word) = (Arc::new(ClassKey::of(&task.spec)), task.state.word());
        match tallies.iter_mut().find(|tally| tally.word == word && tally.class == class) {
            Some(tally) => tally.by += task.members() as i64,
            None => tallies.push(Tally { class: Arc::clone(&class), word, by: task.members() as i64 }),
        }
        writes.push(Write::Insert { task: Arc::new(task.clone()), class });
    }
    let ready_seq = tasks.last().map_or(0, |task| task.ready_seq);
    store.commit(&Batch { epoch, writes, tallies, ready_seq }).map(drop)
}

/// Spread over all rows, the same in every run.
fn spread(n: u64, rows: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows
}

fn reads(reader: &dyn Reader, rows: u64) -> Result<(), Failure> {
    measure("get", |n| reader.task(queued(spread(n, rows)).id).map(drop))?;
    measure("member", |n| reader.task(queued(rows).id.member(1 + spread(n, 1_000_000) as u32)).map(drop))?;
    measure("behind a million", |_| reader.behind(&queued(rows), 10_001).map(drop))?;
    measure("counts and queues", |_| reader.counts().and_then(|_| reader.queues()).map(drop))?;
    let by = |states: &[StateWord]| TaskFilter { states: states.to_vec(), ..TaskFilter::default() };
    let rare = TaskFilter { name: Some("rare".into()), ..TaskFilter::default() };
    let failed_rare = TaskFilter { name: Some("rare".into()), ..by(&[StateWord::Failed]) };
    let on = TaskFilter { worker: Some(WorkerId::new("worker-1")), ..by(&[StateWord::Queued]) };
    let members = TaskFilter { array: Some(queued(rows).id), ..TaskFilter::default() };
    let filters = [
        ("list", by(&[])),
        ("list queued", by(&[StateWord::Queued])),
        ("list running", by(&[StateWord::Running])),
        ("list failed", by(&[StateWord::Failed])),
        ("list completed", by(&[StateWord::Completed])),
        ("list a rare name", rare),
        ("list a rare name that failed", failed_rare),
        ("list a worker's queued, which can't be", on),
        ("list members", members),
    ];
    for (what, filter) in filters {
        for limit in [100, 1_000] {
            let page = |n| {
                let members = filter.array.is_some();
                let at = if members { spread(n, 1_000_000) as i64 } else { queued(spread(n, rows)).id.row_key() };
                reader.list(&PageRequest { filter: filter.clone(), after: Some(Cursor(at)), limit }).map(drop)
            };
            measure(&format!("{what}, {limit} a page"), page)?;
        }
    }
    Ok(())
}

fn writer(store: &mut SqliteStore, epoch: Epoch, rows: u64) -> Result<(), Failure> {
    let class = Arc::new(ClassKey::of(&queued(0).spec));
    measure("refill of 4,096", |n| {
        let place = queued(rows - rows / 10 + spread(n, rows / 20)).place();
        store.ahead(&Want::Backlog { class: Arc::clone(&class), after: Some(place), limit: 4_096 }).map(drop)
    })?;
    let mut after = 0;
    measure("retention of 1,000", |_| {
        let step = Expiry { before: UnixMillis(i64::MAX), after, limit: 1_000, time: Duration::MAX };
        after = store.expire(epoch, &step)?.next.unwrap_or(after);
        Ok(())
    })
}

fn measure(what: &str, mut once: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    let times: Result<Vec<Duration>, Failure> = (0..REPEATS)
        .map(|n| {
            let begin = Instant::now();
            once(n)?;
            Ok(begin.elapsed())
        })
        .collect();
    let mut times = times?;
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() - 1) * percent / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p95 {:?}, most {:?}", at(50), at(95), at(100));
    Ok(())
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}
