//! Why a command could not do it: what is shown, and the exit code.

use crate::exit::ExitStatus;
use domain::Kind;
use std::io;

/// Shown as `error: …` and `hint: …` on stderr.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    /// Empty: nothing is shown.
    text: String,
    hint: Option<String>,
}

impl Failure {
    /// Something went wrong: exit code 1.
    pub fn error(text: impl Into<String>) -> Self {
        Self { status: ExitStatus::Error, text: text.into(), hint: None }
    }

    /// Something went wrong, and this can be done about it.
    pub fn hint(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::error(text) }
    }

    /// The command line asks for something that can't be.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { status: ExitStatus::Usage, ..Self::error(text) }
    }

    /// The same, in other words.
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// What went wrong.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Shows it and gives the exit code.
    pub fn show(&self) -> ExitStatus {
        if !self.text.is_empty() {
            crate::printer::note(&format!("error: {}", crate::escape::shown(&self.text)));
        }
        if let Some(hint) = &self.hint {
            crate::printer::note(&format!("hint: {hint}"));
        }
        self.status
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match &error {
            client::Error::Unreachable { why, .. } => {
                let hint = if why.is_some() {
                    "--ca FILE names the CA of its certificate, and the URL says whether it speaks TLS (https://)"
                } else {
                    "start one with: baton dev"
                };
                Self { status: ExitStatus::Unreachable, ..Self::hint(error.to_string(), hint) }
            }
            client::Error::Answer(answer) => {
                let shown = match answer.kind() {
                    Kind::Unauthenticated => {
                        Self::hint(answer.text(), "name a file with a token: --token-file FILE, or BATON_TOKEN_FILE")
                    }
                    Kind::Invalid
                    | Kind::NotFound
                    | Kind::Conflict
                    | Kind::Precondition
                    | Kind::Exhausted
                    | Kind::Unavailable
                    | Kind::Denied
                    | Kind::Unknown
                    | Kind::DataLoss
                    | Kind::Internal => Self::error(answer.text()),
                };
                Self { status: ExitStatus::of_kind(answer.kind()), ..shown }
            }
        }
    }
}

impl From<io::Error> for Failure {
    /// Whoever read our output may have seen enough: that is no error (`baton list | head`).
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { status: ExitStatus::Success, text: String::new(), hint: None }
        } else {
            Self::error(format!("cannot write: {error}"))
        }
    }
}
