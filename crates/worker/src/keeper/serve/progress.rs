//! Lines like `42 compiling` on a task's progress descriptor.

use domain::{Progress, limits};

/// A longer line is no progress line; it is skipped.
const LINE_BYTES: usize = 4096;

/// Splits what a task writes into lines and keeps the last one that says how far it is.
#[derive(Default, Debug)]
pub(super) struct ProgressLines {
    begun: Vec<u8>,
    /// The line begun is too long.
    skipping: bool,
}

impl ProgressLines {
    /// Takes more bytes; the last progress in them, if there is any.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Progress> {
        let mut last = None;
        let mut parts = bytes.split(|b| *b == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.begun.len() + part.len() > LINE_BYTES {
                self.skipping = true;
                self.begun.clear();
            }
            if !self.skipping {
                self.begun.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                last = parse(&self.begun).or(last);
                self.begun.clear();
                self.skipping = false;
            }
        }
        last
    }

    /// Nothing follows: the line begun is the last.
    pub(super) fn end(&mut self) -> Option<Progress> {
        parse(&std::mem::take(&mut self.begun))
    }
}

fn parse(line: &[u8]) -> Option<Progress> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let (number, message) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let percent = number.trim_end_matches('%').parse().ok().filter(|p| *p <= 100)?;
    let message = message.trim().chars().filter(|c| !c.is_control()).take(limits::MESSAGE_CHARS).collect();
    Some(Progress { percent, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts_however_it_is_cut() {
        let mut lines = ProgressLines::default();
        assert_eq!(lines.take(b"1 a\n4"), Some(Progress { percent: 1, message: "a".into() }));
        assert_eq!(lines.take(b"2"), None);
        assert_eq!(
            lines.take(b"% half \x1bway\nx\n101 no\n"),
            Some(Progress { percent: 42, message: "half way".into() })
        );
        assert_eq!(lines.take(b"100"), None);
        assert_eq!(lines.end(), Some(Progress { percent: 100, message: String::new() }));
    }

    #[test]
    fn a_line_without_end_is_skipped() {
        let mut lines = ProgressLines::default();
        for _ in 0..3 {
            assert_eq!(lines.take(&[b'9'; LINE_BYTES]), None);
        }
        assert_eq!(lines.take(b"\n7\n").map(|p| p.percent), Some(7));
    }
}
