//! The values of a file, one after the other: the elements of one JSON list, or one value a line. Only their bounds are
//! looked for here; what they are is for others.

use std::io::{self, BufRead, Read as _};

/// Marks UTF-8, as some editors do.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file value by value.
pub struct Values<R> {
    reader: R,
    form: Option<Form>,
    value: Vec<u8>,
    /// The most bytes that a value may have.
    most: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    /// `first`: no element has been read yet.
    List {
        first: bool,
    },
    Ended,
}

impl<R: BufRead> Values<R> {
    /// Nothing is read yet. A value of more than `most` bytes is an error.
    pub fn new(reader: R, most: usize) -> Self {
        Self { reader, form: None, value: Vec::new(), most }
    }

    /// Whether each value stands on a line of its own.
    pub fn is_lines(&self) -> bool {
        self.form == Some(Form::Lines)
    }

    /// The next value, or why there is none.
    pub fn next(&mut self) -> Result<Option<&[u8]>, String> {
        let form = match self.form {
            Some(form) => form,
            None => self.begin()?,
        };
        let found = match form {
            Form::Lines => self.line()?,
            Form::List { first } => self.element(first)?,
            Form::Ended => false,
        };
        Ok(found.then_some(self.value.as_slice()))
    }

    fn begin(&mut self) -> Result<Form, String> {
        if self.reader.fill_buf().map_err(unreadable)?.starts_with(BYTE_ORDER_MARK) {
            self.reader.consume(BYTE_ORDER_MARK.len());
        }
        let form = match self.skip_blanks()? {
            Some(b'[') => {
                self.reader.consume(1);
                Form::List { first: true }
            }
            Some(_) => Form::Lines,
            None => Form::Ended,
        };
        self.form = Some(form);
        Ok(form)
    }

    /// The next byte that isn't blank; it stays where it is.
    fn skip_blanks(&mut self) -> Result<Option<u8>, String> {
        loop {
            let chunk = self.reader.fill_buf().map_err(unreadable)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blanks = chunk.iter().position(|byte| !byte.is_ascii_whitespace());
            let next = blanks.and_then(|at| chunk.get(at).copied());
            let skipped = blanks.unwrap_or(chunk.len());
            self.reader.consume(skipped);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// The next line that isn't empty.
    fn line(&mut self) -> Result<bool, String> {
        loop {
            self.value.clear();
            let most = self.most as u64 + 1;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.value).map_err(unreadable)?;
            self.bounded()?;
            if read == 0 || !self.value.trim_ascii().is_empty() {
                return Ok(read > 0);
            }
        }
    }

    fn element(&mut self, first: bool) -> Result<bool, String> {
        self.value.clear();
        let mut scan = Scan::default();
        let end = loop {
            let chunk = self.reader.fill_buf().map_err(unreadable)?;
            if chunk.is_empty() {
                return Err("the list does not end".into());
            }
            let end = scan.end(chunk);
            let used = end.map_or(chunk.len(), |(at, _)| at);
            self.value.extend_from_slice(chunk.get(..used).unwrap_or_default());
            self.reader.consume(used + usize::from(end.is_some()));
            self.bounded()?;
            if let Some((_, end)) = end {
                break end;
            }
        };
        self.form = Some(if end == b',' { Form::List { first: false } } else { Form::Ended });
        if end == b']' && self.skip_blanks()?.is_some() {
            return Err("something follows the end of the list".into());
        }
        let empty = self.value.trim_ascii().is_empty();
        if empty && !(first && end == b']') {
            return Err("there is nothing between two commas".into());
        }
        Ok(!empty)
    }

    fn bounded(&self) -> Result<(), String> {
        if self.value.len() > self.most { Err(format!("is over {} bytes", self.most)) } else { Ok(()) }
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}

/// Looks for the end of a list's element.
#[derive(Default)]
struct Scan {
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Scan {
    /// Where it is, and which byte ends it: a comma or the end of the list.
    fn end(&mut self, chunk: &[u8]) -> Option<(usize, u8)> {
        for (at, &byte) in chunk.iter().enumerate() {
            if self.string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => self.depth += 1,
                b',' | b']' if self.depth == 0 => return Some((at, byte)),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// With a buffer so small that every value crosses its end.
    fn values(text: &str) -> Result<Vec<String>, String> {
        let mut values = Values::new(BufReader::with_capacity(3, text.as_bytes()), 40);
        let mut all = Vec::new();
        while let Some(value) = values.next()? {
            all.push(String::from_utf8_lossy(value).trim().to_owned());
        }
        Ok(all)
    }

    #[test]
    fn a_list_and_lines_say_the_same() {
        let expected = Ok(vec![r#"{"a":[1,2]}"#.to_owned(), r#"{"b":"],\"{"}"#.into()]);
        assert_eq!(values("\u{feff} [ {\"a\":[1,2]} ,\n{\"b\":\"],\\\"{\"}\n]\n"), expected);
        assert_eq!(values("{\"a\":[1,2]}\n\n{\"b\":\"],\\\"{\"}"), expected, "the last line needs no end");
    }

    #[test]
    fn nothing_has_no_values() {
        for text in ["", " \n ", "[]", " [ ] "] {
            assert_eq!(values(text), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["[", "[1", "[1,]", "[,1]", "[1] 2", "[\"]", &format!("[{}]", "1".repeat(41)), &"1".repeat(41)] {
            assert!(values(text).is_err(), "{text:?}");
        }
    }
}
