//! One error for all layers, with a kind from which every surface reads its status.

use std::fmt;

/// Short for a result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of error it is. `wire` maps it to gRPC codes and HTTP statuses, the CLI to exit codes: one table each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// The caller's input is wrong and will be wrong tomorrow; the text names the field.
    Invalid,
    /// No such thing.
    NotFound,
    /// It exists already, with another content.
    Conflict,
    /// The thing is not in a state that allows this.
    Precondition,
    /// A limit is reached; later it may pass.
    Exhausted,
    /// Someone who is needed is away; the same call may pass later.
    Unavailable,
    /// Nobody knows who calls: a token is missing, wrong, expired or revoked.
    Unauthenticated,
    /// Not allowed to whoever calls, or not from here.
    Denied,
    /// The outcome is unknown: repeat with the same id or key (GUARANTEES G6).
    Unknown,
    /// What was acknowledged once is gone, and can't be had again (GUARANTEES G12).
    DataLoss,
    /// Our own fault. Detail goes to the log, not to the client.
    Internal,
}

/// An error that a caller may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    kind: Kind,
    text: String,
}

impl Error {
    /// An error of this kind with a text for the caller: specific, lower case, without a full stop.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
    /// A field with a wrong value: `field: text`.
    pub fn field(field: &str, text: impl fmt::Display) -> Self {
        Self::new(Kind::Invalid, format!("{field}: {text}"))
    }
    /// The same, about a field of this part of what was sent: `part.field: text`.
    pub fn within(self, part: &str) -> Self {
        Self { text: format!("{part}.{}", self.text), ..self }
    }
    /// No task has this id.
    pub fn no_task(id: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("no task {id}"))
    }
    /// Someone who is needed is away.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, text)
    }
    /// Our own fault.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(Kind::Internal, text)
    }
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
