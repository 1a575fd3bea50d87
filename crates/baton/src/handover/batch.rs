//! Batches: what travels in one call.

use domain::limits;
use prost::bytes::Bytes;
use wire::v1;

/// Bytes of a task from which on it travels alone: a batch takes no more in all.
const ALONE_FROM: usize = limits::BATCH_BYTES / 2;
/// Tasks in one call, of the 10,000 that it may have: on every hop a call is in memory whole, several at once, and the
/// scheduler commits those that come together as one anyway.
const TASKS: usize = 2_000;

/// Tasks that follow each other in a file, all accepted or none.
#[derive(Debug)]
pub struct Batch {
    /// The place of the first in its file, from 1.
    pub first: u64,
    /// What the file calls its parts: `entry` or `line`.
    pub part: &'static str,
    /// How many parts of the file the batch stands for; more than its tasks if those are arrays of lines.
    pub parts: u64,
    /// Never empty.
    pub tasks: Vec<Task>,
}

/// A task, encoded.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its spec.
    pub spec: Bytes,
    /// Whether it has an idempotency key.
    pub keyed: bool,
}

impl From<&v1::TaskSpec> for Task {
    fn from(spec: &v1::TaskSpec) -> Self {
        Self { spec: wire::pack(spec), keyed: !spec.idempotency_key.is_empty() }
    }
}

impl Batch {
    /// Whether a repetition can't make a task twice.
    pub fn is_repeatable(&self) -> bool {
        self.tasks.iter().all(|task| task.keyed)
    }

    /// The call that submits it.
    pub fn request(&self) -> v1::SubmitTasksRequest {
        v1::SubmitTasksRequest { tasks: self.tasks.iter().map(|task| task.spec.clone()).collect() }
    }

    /// Where it stands in its file, for people.
    pub fn place(&self) -> String {
        let last = self.first + self.parts - 1;
        if last == self.first {
            format!("{} {last}", self.part)
        } else {
            format!("{} {} to {last}", plural(self.part), self.first)
        }
    }
}

/// `entries`, `lines`.
pub fn plural(part: &str) -> String {
    match part.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{part}s"),
    }
}

/// Gathers tasks until a call is full.
pub struct Cutter {
    /// Where the batch begins that is being gathered.
    first: u64,
    tasks: Vec<Task>,
    bytes: usize,
}

impl Cutter {
    /// Nothing gathered yet.
    pub fn new() -> Self {
        Self { first: 1, tasks: Vec::new(), bytes: 0 }
    }

    /// Takes the next task of the file. Gives back the batches that are full: at most two.
    pub fn push(&mut self, task: Task) -> impl Iterator<Item = Batch> + use<> {
        // Tag and length of a message inside another one.
        let bytes = task.spec.len() + 6;
        let full = self.tasks.len() == TASKS || self.bytes + bytes > limits::BATCH_BYTES;
        let before = if full { self.cut() } else { None };
        if self.tasks.is_empty() {
            self.tasks.reserve(TASKS);
        }
        self.bytes += bytes;
        self.tasks.push(task);
        let alone = if self.tasks.len() == 1 && bytes > ALONE_FROM { self.cut() } else { None };
        before.into_iter().chain(alone)
    }

    /// What has been gathered, if anything.
    pub fn cut(&mut self) -> Option<Batch> {
        let tasks = std::mem::take(&mut self.tasks);
        let parts = tasks.len() as u64;
        if parts == 0 {
            return None;
        }
        let first = self.first;
        (self.first, self.bytes) = (first + parts, 0);
        Some(Batch { first, part: "entry", parts, tasks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn cut(tasks: impl IntoIterator<Item = v1::TaskSpec>) -> Vec<Batch> {
        let mut cutter = Cutter::new();
        let mut batches: Vec<_> = tasks.into_iter().flat_map(|task| cutter.push(Task::from(&task))).collect();
        batches.extend(cutter.cut());
        batches
    }

    fn task(bytes: usize) -> v1::TaskSpec {
        v1::TaskSpec { name: "n".into(), payload: vec![0; bytes], ..Default::default() }
    }

    #[test]
    fn a_batch_keeps_to_both_limits_of_a_call() {
        let batches = cut((0..5_000).map(|_| task(0)));
        let shape: Vec<_> = batches.iter().map(|b| (b.first, b.tasks.len())).collect();
        assert_eq!(shape, [(1, 2_000), (2_001, 2_000), (4_001, 1_000)]);
        let batches = cut((0..20).map(|_| task(1_000_000)));
        for batch in &batches {
            let request = batch.request();
            assert!(request.encoded_len() <= limits::BATCH_BYTES);
        }
        assert_eq!(batches.iter().map(|b| b.tasks.len()).collect::<Vec<_>>(), [4, 4, 4, 4, 4]);
    }

    #[test]
    fn what_is_large_travels_alone_and_the_order_stays() {
        let batches = cut([task(1), task(3_000_000), task(2), task(12_000_000), task(3)]);
        let shape: Vec<_> = batches.iter().map(|b| (b.first, b.tasks.len())).collect();
        assert_eq!(shape, [(1, 3), (4, 1), (5, 1)]);
    }

    #[test]
    fn a_place_is_said_as_people_say_it() {
        let batch = |first, parts, part| Batch { first, parts, part, tasks: Vec::new() }.place();
        assert_eq!(batch(7, 1, "entry"), "entry 7");
        assert_eq!(batch(1, 3, "entry"), "entries 1 to 3");
        assert_eq!(batch(11, 10, "line"), "lines 11 to 20");
    }
}
