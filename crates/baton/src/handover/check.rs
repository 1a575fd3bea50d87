//! Entries checked by as many threads as there are processors, and handed out in their order. Parsing is what a large file
//! costs before anything of it is sent.
//!
//! Every queue is bounded: what reads, what checks and what takes wait for each other.

use super::{batch::Task, json::Rules, source::Source, values::Values};
use crate::failure::Failure;
use domain::limits;
use std::{
    io::BufRead,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Bytes of one entry: the largest task, with room for how its bytes are written in JSON.
const ENTRY_BYTES: usize = 2 * limits::MESSAGE_BYTES;
/// Bytes from which on a slice is full: so many entries that handing them over costs nothing.
const SLICE_BYTES: usize = 64 * 1024;
/// Threads at most: beyond, reading is what takes the time.
const THREADS: usize = 8;
/// Slices that wait for a thread, or behind it.
const WAITING: usize = 2;

/// Entries that follow each other in a file.
struct Slice {
    /// The number of the first in its file, from 1.
    first: u64,
    /// Whether each stands on a line of its own.
    lines: bool,
    /// One behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Why there is none behind them, if that is a mistake.
    wrong: Option<String>,
}

/// What became of a slice: tasks, and the mistake behind them, if there is one.
type Checked = (Vec<Task>, Option<Failure>);

/// Reads and checks each entry of a file, until `take` wants no more.
pub fn each(source: &mut Source, rules: &Rules, mut take: impl FnMut(Task) -> bool) -> Result<(), Failure> {
    let (name, reader) = (source.name(), source.reader()?);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        let (mut todo, mut done) = (Vec::new(), Vec::new());
        for _ in 0..threads {
            let (to, slices) = sync_channel(WAITING);
            let (checked, from) = sync_channel(WAITING);
            let name = &name;
            scope.spawn(move || work(name, rules, &slices, &checked));
            todo.push(to);
            done.push(from);
        }
        scope.spawn(move || cut(reader, todo));
        // In the order in which they were given out.
        for from in done.iter().cycle() {
            let Ok((tasks, wrong)) = from.recv() else { break };
            if !tasks.into_iter().all(&mut take) {
                break;
            }
            wrong.map_or(Ok(()), Err)?;
        }
        // What is given out beyond this is for nobody: the threads notice when these are dropped.
        drop(done);
        Ok(())
    })
}

/// Cuts a file into slices, and gives them to the threads in turn. The last one may say what is wrong behind it. The threads
/// end when this does.
fn cut(reader: impl BufRead, threads: Vec<SyncSender<Slice>>) {
    let mut values = Values::new(reader, ENTRY_BYTES);
    let mut first = 1;
    for to in threads.iter().cycle() {
        let slice = slice(&mut values, first);
        first += slice.ends.len() as u64;
        let last = slice.wrong.is_some() || slice.ends.is_empty();
        if to.send(slice).is_err() || last {
            return;
        }
    }
}

fn slice(values: &mut Values<impl BufRead>, first: u64) -> Slice {
    let mut slice = Slice { first, lines: false, bytes: Vec::new(), ends: Vec::new(), wrong: None };
    while slice.bytes.len() < SLICE_BYTES {
        match values.next() {
            Ok(Some(value)) => {
                slice.bytes.extend_from_slice(value);
                slice.ends.push(slice.bytes.len());
            }
            Ok(None) => break,
            Err(why) => {
                slice.wrong = Some(why);
                break;
            }
        }
    }
    slice.lines = values.is_lines();
    slice
}

fn work(name: &str, rules: &Rules, slices: &Receiver<Slice>, checked: &SyncSender<Checked>) {
    for slice in slices {
        let mut tasks = Vec::with_capacity(slice.ends.len());
        let wrong = check(name, rules, &slice, &mut tasks).err();
        // Nobody wants it any more.
        if checked.send((tasks, wrong)).is_err() {
            return;
        }
    }
}

fn check(name: &str, rules: &Rules, slice: &Slice, tasks: &mut Vec<Task>) -> Result<(), Failure> {
    let mut begin = 0;
    let mut number = slice.first;
    for end in &slice.ends {
        let value = slice.bytes.get(begin..*end).unwrap_or_default();
        tasks.push(rules.task(name, value, slice.lines, number)?);
        (begin, number) = (*end, number + 1);
    }
    slice.wrong.as_ref().map_or(Ok(()), |why| Err(Failure::error(format!("{name}: entry {number}: {why}"))))
}

/// As [`each`], of what comes bit by bit: each entry is taken as soon as it is there.
pub fn each_at_once(source: &mut Source, rules: &Rules, mut take: impl FnMut(Task) -> bool) -> Result<(), Failure> {
    let name = source.name();
    let mut values = Values::new(source.reader()?, ENTRY_BYTES);
    for number in 1_u64.. {
        let lines = values.is_lines();
        let wrong = |text: String| Failure::error(format!("{name}: entry {number}: {text}"));
        let Some(value) = values.next().map_err(wrong)? else { break };
        if !take(rules.task(&name, value, lines, number)?) {
            break;
        }
    }
    Ok(())
}
