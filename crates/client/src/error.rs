//! What can go wrong with a call.

use domain::Kind;
use std::sync::Arc;
use tonic::Status;

/// Short for a result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there: the call was not made.
    #[error("no gateway at {url}{}", why.as_deref().map_or_else(String::new, |why| format!(": {why}")))]
    Unreachable {
        /// The address that was tried.
        url: Arc<str>,
        /// Why not, if somebody is there with whom no TLS connection came about.
        why: Option<Arc<str>>,
    },
    /// The gateway's answer, or a connection that broke before it came ([`Kind::Unknown`]).
    #[error(transparent)]
    Answer(#[from] domain::Error),
}

impl Error {
    /// The answer's kind; `None` if there was nobody to answer.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Unreachable { .. } => None,
            Self::Answer(error) => Some(error.kind()),
        }
    }

    pub(crate) fn of(status: &Status, url: &Arc<str>) -> Self {
        let why = tls::refused(status);
        if why.is_some() || wire::unsent(status) {
            return Self::Unreachable { url: Arc::clone(url), why: why.map(Into::into) };
        }
        if wire::broken(status) {
            let text = format!("the connection to the gateway at {url} broke; the outcome is unknown");
            return Self::Answer(domain::Error::new(Kind::Unknown, text));
        }
        Self::Answer(wire::error(status))
    }

    /// Whether a reader may find it gone when it tries again.
    pub(crate) fn passes(&self) -> bool {
        match self.kind() {
            None | Some(Kind::Unavailable | Kind::Unknown) => true,
            Some(
                Kind::Invalid
                | Kind::NotFound
                | Kind::Conflict
                | Kind::Precondition
                | Kind::Exhausted
                | Kind::Unauthenticated
                | Kind::Denied
                | Kind::DataLoss
                | Kind::Internal,
            ) => false,
        }
    }
}
