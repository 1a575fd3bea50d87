//! `--each-line FILE`: lines become the entries of an array; of several, if one message can't hold them all.

use super::{batch::Batch, batch::Task, repeat::own_key, source::Source, window::Reading};
use crate::failure::Failure;
use domain::limits;
use std::io::{BufRead, Read as _};
use tokio::sync::mpsc;
use wire::v1;

/// Lines in one array: gateway and scheduler hold it whole while they take it in, some hundred bytes a line.
const LINES: usize = 1_000_000;

/// A file of lines.
pub struct Lines {
    /// Where they stand.
    pub source: Source,
    /// What each of them runs.
    pub spec: v1::TaskSpec,
}

impl Reading for Lines {
    /// A file that can be read twice is checked whole before anything of it is sent.
    fn read(self, to: &mpsc::Sender<Batch>) -> Result<(), Failure> {
        let Self { mut source, spec } = self;
        if source.is_regular() {
            each(&mut source, |_, _| Ok(true))?;
        }
        let (mut array, mut any) = (Gathered::from(1), false);
        each(&mut source, |number, line| {
            any = true;
            if array.is_full(&line) {
                let full = std::mem::replace(&mut array, Gathered::from(number));
                if to.blocking_send(full.batch(&spec)?).is_err() {
                    // Whoever takes no more batches knows why.
                    return Ok(false);
                }
            }
            array.push(line);
            Ok(true)
        })?;
        if !any {
            return Err(Failure::error(format!("{}: has no lines", source.name())));
        }
        if !array.entries.is_empty() {
            drop(to.blocking_send(array.batch(&spec)?));
        }
        Ok(())
    }
}

/// The lines of one array.
struct Gathered {
    /// The number of its first line, from 1.
    first: u32,
    entries: Vec<String>,
    /// As they travel.
    bytes: usize,
}

impl Gathered {
    fn from(first: u32) -> Self {
        Self { first, entries: Vec::new(), bytes: 0 }
    }

    fn is_full(&self, line: &str) -> bool {
        self.entries.len() == LINES || self.bytes + bytes(line) > limits::ARRAY_ENTRIES_BYTES
    }

    fn push(&mut self, line: String) {
        self.bytes += bytes(&line);
        self.entries.push(line);
    }

    fn batch(self, spec: &v1::TaskSpec) -> Result<Batch, Failure> {
        let Self { first, entries, bytes: _ } = self;
        let parts = entries.len() as u64;
        // Numbers of lines are u32, and there is at least one.
        let last = first.saturating_add(u32::try_from(parts).unwrap_or(u32::MAX)).saturating_sub(1);
        let idempotency_key = match &*spec.idempotency_key {
            "" => own_key()?,
            key => format!("{key}-{first}"),
        };
        let array = v1::TaskArray { ranges: vec![v1::Range { first, last }], entries };
        let task = v1::TaskSpec { idempotency_key, array: Some(array), ..spec.clone() };
        Ok(Batch { first: first.into(), part: "line", parts, tasks: vec![Task::from(&task)] })
    }
}

/// Text, tag and length.
fn bytes(line: &str) -> usize {
    line.len() + 1 + prost::length_delimiter_len(line.len())
}

/// Reads each line with its number, until `take` wants no more. The last one needs no end.
fn each(source: &mut Source, mut take: impl FnMut(u32, String) -> Result<bool, Failure>) -> Result<(), Failure> {
    let name = source.name();
    let mut reader = source.reader()?;
    for number in 1_u32.. {
        let wrong = |text: String| Failure::error(format!("{name}: line {number}: {text}"));
        if number > limits::ARRAY_INDEX {
            return Err(wrong(format!("is behind the last possible one, {}", limits::ARRAY_INDEX)));
        }
        // What ends a line, and one byte that shows that it is too long.
        let (mut line, most) = (Vec::new(), limits::ENTRY_BYTES as u64 + 3);
        reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(|error| wrong(error.to_string()))?;
        if line.is_empty() {
            break;
        }
        if !take(number, entry(line).map_err(wrong)?)? {
            break;
        }
    }
    Ok(())
}

/// A line without its end, if it may be an entry.
fn entry(mut line: Vec<u8>) -> Result<String, String> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() > limits::ENTRY_BYTES {
        return Err(format!("is over {} bytes", limits::ENTRY_BYTES));
    }
    if line.contains(&0) {
        return Err("contains a NUL byte".into());
    }
    String::from_utf8(line).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        format!("is not valid UTF-8 from byte {at} on")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// What becomes of a file, and how it was read.
    fn read(text: &[u8]) -> (Vec<Batch>, Result<(), Failure>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let source = Source::open(file.path()).unwrap();
        let (to, mut from) = mpsc::channel(100);
        let read = Lines { source, spec: v1::TaskSpec::default() }.read(&to);
        let batches = std::iter::from_fn(|| from.try_recv().ok()).collect();
        (batches, read)
    }

    fn spec(batch: &Batch) -> v1::TaskSpec {
        wire::unpack(batch.tasks[0].spec.clone()).unwrap()
    }

    fn array(batch: &Batch) -> v1::TaskArray {
        spec(batch).array.unwrap()
    }

    #[test]
    fn each_line_is_a_member_with_its_number() {
        let (batches, _) = read("a b\n\nü\r\nlast".as_bytes());
        assert_eq!(array(&batches[0]).entries, ["a b", "", "ü", "last"]);
        assert_eq!(array(&batches[0]).ranges, [v1::Range { first: 1, last: 4 }]);
        assert!(batches[0].is_repeatable(), "an array has a key of its own");
    }

    #[test]
    fn what_one_message_cannot_hold_becomes_several_arrays_with_consecutive_numbers() {
        let (batches, _) = read(format!("{}\n", "x".repeat(1_000)).repeat(30_000).as_bytes());
        let ranges: Vec<_> = batches.iter().map(|b| (array(b).ranges[0].first, array(b).ranges[0].last)).collect();
        assert_eq!(ranges, [(1, 12_545), (12_546, 25_090), (25_091, 30_000)]);
        for batch in &batches {
            assert!(wire::check_spec(v1::TaskSpec { name: "n".into(), ..spec(batch) }).is_ok());
        }
    }

    #[test]
    fn nothing_is_sent_of_a_file_with_a_wrong_line() {
        let table: [(&[u8], &str); 4] = [
            (b"ok\n\xff\n", "line 2: is not valid UTF-8 from byte 1 on"),
            (b"a\0b", "line 1: contains a NUL byte"),
            (&[b'x'; 70_000], "line 1: is over 65536 bytes"),
            (b"", "has no lines"),
        ];
        for (text, why) in table {
            let (batches, read) = read(text);
            let failure = read.unwrap_err();
            assert!(failure.text().ends_with(why), "{}", failure.text());
            assert!(batches.is_empty());
        }
    }
}
