//! Durable task-writes a second, in batches: `cargo bench -p store --bench commit -- [BATCH [TASKS]]`. Three commits a task,
//! as in a task's life. scripts/instructions.sh counts the instructions of `commit`.

mod samples;

use domain::{Batch, ClassKey, Epoch, Final, State, StateWord, Tally, Task, Write};
use samples::{attempt, queued, with};
use std::{error::Error, sync::Arc, time::Instant};
use store::{Store, sqlite::SqliteStore};

const TASKS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (batches, tasks) = match numbers.as_slice() {
        [] => (vec![1_000, 100], TASKS),
        [batch] => (vec![*batch], TASKS),
        [batch, tasks, ..] => (vec![*batch], *tasks),
    };
    for batch in batches {
        let dir = tempfile::tempdir_in(".")?;
        let mut store = SqliteStore::open(dir.path())?;
        let epoch = store.begin()?.epoch;
        let class = Arc::new(ClassKey::of(&queued(0).spec));
        let begin = Instant::now();
        for first in (0..tasks).step_by(batch as usize) {
            let tasks: Vec<Task> = (first..first + batch).map(queued).collect();
            let insert = |task: &Task| Write::Insert { task: Arc::new(task.clone()), class: Arc::clone(&class) };
            commit(&mut store, epoch, &class, [None, Some(StateWord::Queued)], tasks.iter().map(insert))?;
            let sent = tasks.iter().map(|task| Write::Update(Arc::new(with(task, State::Dispatched(attempt())))));
            commit(&mut store, epoch, &class, [Some(StateWord::Queued), Some(StateWord::Dispatched)], sent)?;
            let done = tasks.iter().map(|task| Write::Update(Arc::new(with(task, State::Final(Final::Completed)))));
            commit(&mut store, epoch, &class, [Some(StateWord::Dispatched), Some(StateWord::Completed)], done)?;
        }
        let rate = 3.0 * tasks as f64 / begin.elapsed().as_secs_f64();
        println!("batches of {batch}: {rate:.0} task-writes/s, {:.0} tasks/s", rate / 3.0);
    }
    Ok(())
}

#[inline(never)]
fn commit(
    store: &mut SqliteStore,
    epoch: Epoch,
    class: &Arc<ClassKey>,
    [from, to]: [Option<StateWord>; 2],
    writes: impl Iterator<Item = Write>,
) -> Result<(), store::Failure> {
    let writes: Vec<Write> = writes.collect();
    let n = writes.len() as i64;
    let tally = |(word, by): (Option<StateWord>, i64)| Some(Tally { class: Arc::clone(class), word: word?, by });
    let tallies = [(from, -n), (to, n)].into_iter().filter_map(tally).collect();
    store.commit(&Batch { epoch, writes, tallies, ready_seq: 0 }).map(drop)
}
