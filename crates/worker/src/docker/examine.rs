//! What a look at the engine finds, for `baton doctor`.
//!
//! Must never change anything of it.

use super::{
    DockerHost,
    engine::{Engine, Trouble},
};
use std::time::Duration;

/// How long it may take to say anything.
const ANSWER: Duration = Duration::from_secs(3);

/// What was found where the engine should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FoundEngine {
    /// A worker here isn't to use one.
    Unwanted,
    /// There is no socket.
    Absent,
    /// There is one, but no use: why.
    Mute(String),
    /// It answers.
    Answers {
        /// Its version, or empty.
        version: String,
        /// Its API's, or empty.
        api: String,
    },
}

impl DockerHost {
    /// Looks at the engine as this process may reach it: another user may be allowed to, or not.
    pub async fn examine(&self) -> FoundEngine {
        let Some(socket) = self.socket() else { return FoundEngine::Unwanted };
        if matches!(socket.try_exists(), Ok(false)) {
            return FoundEngine::Absent;
        }
        let asked = async { Engine::answers(socket, ANSWER).await?.version().await };
        match tokio::time::timeout(2 * ANSWER, asked).await {
            Ok(Ok((version, api))) => FoundEngine::Answers { version, api },
            Ok(Err(Trouble::Away(why) | Trouble::Missing(why) | Trouble::Refused(why))) => FoundEngine::Mute(why),
            Err(_) => FoundEngine::Mute(format!("nothing was heard for {} s", 2 * ANSWER.as_secs())),
        }
    }
}

impl std::fmt::Display for DockerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket() {
            None => f.write_str("none"),
            Some(socket) => write!(f, "unix://{}", socket.display()),
        }
    }
}
