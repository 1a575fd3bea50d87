//! An error that ends a process, with what to do about it.

use std::fmt;

/// Printed as `error: …` and `hint: …`; the process ends with code 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fatal {
    text: String,
    hint: Option<String>,
}

impl Fatal {
    /// What went wrong: specific, lower case, without a full stop.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do about it, if that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fatal {}
