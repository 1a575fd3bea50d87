//! Where words go: data to stdout, everything else to stderr. A reader that has gone is no error.

use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, Write};

/// Form of what is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document, or one a line where there is a stream.
    Json,
}

/// Which of our two streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Data.
    Out,
    /// Everything else.
    Err,
}

/// Writes bytes as they are, at once.
pub fn bytes(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Out => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Stream::Err => {
            let mut err = io::stderr().lock();
            err.write_all(bytes)?;
            err.flush()
        }
    }
}

/// A line of data.
pub fn line(text: &str) -> io::Result<()> {
    bytes(Stream::Out, format!("{text}\n").as_bytes())
}

/// A document of data, on one line.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_string(value).map_err(io::Error::other)?)
}

/// A word to the person at the terminal. If nobody can read it, so be it.
pub fn note(text: &str) {
    let _ = bytes(Stream::Err, format!("{text}\n").as_bytes());
}

/// A table without frames: two blanks between columns.
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    line(&text.join("\n"))
}
