//! `--from-json FILE`: a file of tasks becomes batches.

use super::{
    batch::{Batch, Cutter, Task},
    check::{each, each_at_once},
    entry::Entry,
    source::Source,
    window::Reading,
};
use crate::{failure::Failure, task_options::Defaults};
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tokio::sync::mpsc;

/// Bytes of checked tasks that are kept until they are sent: some millions of small ones.
const KEPT_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of one piece of what is kept, unless a task is larger.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Bytes that are kept with each task: its length, and whether it has a key.
const HEAD_BYTES: usize = 9;

/// A file of tasks.
pub struct Json {
    /// Where they stand.
    pub source: Source,
    /// How each of them is read.
    pub rules: Rules,
}

/// How entries become tasks.
pub struct Rules {
    /// What an entry is that doesn't say otherwise.
    pub defaults: Defaults,
    /// With its number behind it, the key of an entry that has none.
    pub key: Option<String>,
    /// From when delays count, in Unix milliseconds.
    pub now_ms: i64,
}

impl Reading for Json {
    /// A file that can be read twice is checked whole before anything of it is sent.
    fn read(self, to: &mpsc::Sender<Batch>) -> Result<(), Failure> {
        let Self { mut source, rules } = self;
        let mut cutter = Cutter::new();
        // Whoever takes no more batches knows why.
        let mut send = |task| cutter.push(task).all(|batch| to.blocking_send(batch).is_ok());
        if source.is_regular() {
            let mut kept = Kept::default();
            each(&mut source, &rules, |task| {
                kept.add(&task);
                true
            })?;
            match kept.tasks() {
                Some(mut tasks) => drop(tasks.all(&mut send)),
                None => each(&mut source, &rules, send)?,
            }
        } else {
            each_at_once(&mut source, &rules, &mut send)?;
        }
        if let Some(last) = cutter.cut() {
            drop(to.blocking_send(last));
        }
        Ok(())
    }
}

/// What has been checked, so that it needn't be parsed a second time, which costs more than all the rest; unless it is much.
#[derive(Default)]
struct Kept {
    /// Tasks one behind the other. Blocks, for a single one would be copied each time that it has to grow.
    blocks: Vec<Vec<u8>>,
    bytes: usize,
    full: bool,
}

impl Kept {
    fn add(&mut self, task: &Task) {
        let Task { spec, keyed } = task;
        let bytes = HEAD_BYTES + spec.len();
        self.bytes += bytes;
        self.full |= self.bytes > KEPT_BYTES;
        if self.full {
            self.blocks = Vec::new();
            return;
        }
        if self.blocks.last().is_none_or(|block| block.capacity() - block.len() < bytes) {
            self.blocks.push(Vec::with_capacity(BLOCK_BYTES.max(bytes)));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.put_u64_le(spec.len() as u64);
            block.put_u8((*keyed).into());
            block.put_slice(spec);
        }
    }

    /// All of them, if they were few enough. None is copied.
    fn tasks(self) -> Option<impl Iterator<Item = Task>> {
        (!self.full).then(|| self.blocks.into_iter().flat_map(unblocked))
    }
}

/// The tasks of a block.
fn unblocked(block: Vec<u8>) -> impl Iterator<Item = Task> {
    let mut rest = Bytes::from(block);
    std::iter::from_fn(move || {
        let bytes = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
        let keyed = rest.try_get_u8().ok()? != 0;
        (bytes <= rest.len()).then(|| Task { spec: rest.split_to(bytes), keyed })
    })
}

impl Rules {
    /// Reads and checks an entry. `lines`: it stands on a line of its own.
    pub fn task(&self, name: &str, value: &[u8], lines: bool, number: u64) -> Result<Task, Failure> {
        let wrong = |text: String| Failure::error(format!("{name}: entry {number}: {text}"));
        let entry = Entry::parse(value, lines).map_err(wrong)?;
        let mut spec = entry.spec(&self.defaults, self.now_ms).map_err(wrong)?;
        if let Some(key) = self.key.as_ref().filter(|_| spec.idempotency_key.is_empty()) {
            spec.idempotency_key = format!("{key}-{number}");
        }
        let task = Task::from(&spec);
        wire::check_spec(spec).map_err(|error| wrong(error.text().to_owned()))?;
        Ok(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, path::PathBuf};
    use wire::v1;

    /// What becomes of a file, and how it was read.
    fn read(text: &str, key: Option<&str>) -> (Vec<Batch>, Result<(), Failure>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        run(file.path().to_owned(), key)
    }

    fn run(path: PathBuf, key: Option<&str>) -> (Vec<Batch>, Result<(), Failure>) {
        let source = Source::open(&path).unwrap();
        let defaults = Defaults { spec: v1::TaskSpec::default(), env: [].into() };
        let (to, mut from) = mpsc::channel(100);
        let rules = Rules { defaults, key: key.map(str::to_owned), now_ms: 0 };
        let read = Json { source, rules }.read(&to);
        (std::iter::from_fn(|| from.try_recv().ok()).collect(), read)
    }

    fn entries(n: usize) -> String {
        (1..=n).map(|i| format!("{{\"command\": \"echo {i}\"}}\n")).collect()
    }

    #[test]
    fn entries_become_tasks_in_their_order() {
        let (batches, read) = read(&entries(2_001), None);
        assert!(read.is_ok());
        assert_eq!(batches.iter().map(Batch::place).collect::<Vec<_>>(), ["entries 1 to 2000", "entry 2001"]);
        let name = |batch: usize, at: usize| wire::unpack(batches[batch].tasks[at].spec.clone()).unwrap().name;
        assert_eq!((&*name(0, 41), &*name(1, 0)), ("echo 42", "echo 2001"));
        assert!(!batches[0].is_repeatable(), "nobody gave a key");
    }

    #[test]
    fn nothing_is_sent_of_a_file_with_a_wrong_entry_at_its_end() {
        let (batches, read) = read(&format!("{}\n{{\"command\": \"x\", \"retries\": 500}}", entries(2_001)), None);
        let failure = read.unwrap_err();
        assert!(failure.text().ends_with("entry 2002: max_retries: must be 0 to 100"), "{}", failure.text());
        assert!(batches.is_empty());
    }

    #[test]
    fn of_a_stream_what_came_before_a_wrong_entry_may_be_on_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let text = format!("{}{{\"command\": 5}}\n", entries(2_001));
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, text)
        });
        let (batches, read) = run(pipe, None);
        writer.join().unwrap().unwrap();
        assert!(read.unwrap_err().text().contains("entry 2002: command: invalid type"));
        assert_eq!(batches.iter().map(Batch::place).collect::<Vec<_>>(), ["entries 1 to 2000"]);
    }

    #[test]
    fn a_key_makes_all_of_them_repeatable() {
        let (batches, _) =
            read("[{\"command\": \"a\"}, {\"command\": \"b\", \"idempotency_key\": \"own\"}]", Some("k"));
        let key = |task: &Task| wire::unpack(task.spec.clone()).unwrap().idempotency_key;
        let keys: Vec<_> = batches[0].tasks.iter().map(key).collect();
        assert_eq!(keys, ["k-1", "own"]);
        assert!(batches[0].is_repeatable());
    }
}
