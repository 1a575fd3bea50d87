//! Where entries come from: a file, or stdin.

use crate::failure::Failure;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

/// Bytes read at a time.
const BUFFER: usize = 1024 * 1024;

/// An open file, or stdin.
pub struct Source {
    path: PathBuf,
    input: Input,
}

enum Input {
    /// It can be read twice: once to check it, once to send it.
    Regular(File),
    /// It is sent as it comes.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    /// Opens a file; `-` is stdin.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let input = if is_stdin(path) {
            Input::Stream(Box::new(io::stdin()))
        } else {
            let failed = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
            let file = File::open(path).map_err(failed)?;
            let kind = file.metadata().map_err(failed)?;
            if kind.is_dir() {
                return Err(Failure::usage(format!("{}: is a directory", path.display())));
            }
            if kind.is_file() { Input::Regular(file) } else { Input::Stream(Box::new(file)) }
        };
        Ok(Self { path: path.to_owned(), input })
    }

    /// Whether it can be read more than once.
    pub fn is_regular(&self) -> bool {
        match self.input {
            Input::Regular(_) => true,
            Input::Stream(_) => false,
        }
    }

    /// From its beginning; of a stream, once.
    pub fn reader(&mut self) -> Result<Box<dyn BufRead + Send>, Failure> {
        let input: Box<dyn Read + Send> = match &mut self.input {
            Input::Regular(file) => {
                let again = file.rewind().and_then(|()| file.try_clone());
                Box::new(again.map_err(|error| Failure::error(format!("{}: {error}", self.path.display())))?)
            }
            Input::Stream(stream) => std::mem::replace(stream, Box::new(io::empty())),
        };
        Ok(Box::new(BufReader::with_capacity(BUFFER, input)))
    }

    /// What it is called.
    pub fn name(&self) -> String {
        if is_stdin(&self.path) { "stdin".into() } else { self.path.display().to_string() }
    }
}

/// Whether stdin is meant.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
