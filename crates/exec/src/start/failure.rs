//! Why a command could not be started.

use crate::os_text;
use std::{fmt, io};

/// At which step a start failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Pipes, memory, or the process itself.
    Process,
    /// Putting it into its tree.
    Tree,
    /// Its descriptors.
    Descriptors,
    /// Becoming another user.
    User,
    /// Its working directory.
    Directory,
    /// Loading its program.
    Program,
}

/// Why a command could not be started. It left nothing behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// At which step.
    pub stage: Stage,
    /// The system's error number.
    pub errno: i32,
    /// What it was about: the program, the directory.
    pub about: String,
}

impl Failure {
    pub(crate) fn process(error: &io::Error) -> Self {
        Self { stage: Stage::Process, errno: error.raw_os_error().unwrap_or(libc::EIO), about: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, errno, about } = self;
        let text = os_text(*errno);
        match stage {
            Stage::Process => write!(f, "no process: {text}"),
            Stage::Tree => write!(f, "no control group: {text}"),
            Stage::Descriptors => write!(f, "no descriptors: {text}"),
            Stage::User => write!(f, "not as that user: {text}"),
            Stage::Directory => write!(f, "working directory: {text}: {about}"),
            Stage::Program => write!(f, "{text}: {about}"),
        }
    }
}

impl std::error::Error for Failure {}
