//! Where the engine is.

use std::path::{Path, PathBuf};

/// Where it is if nothing is said.
const SOCKET: &str = "/var/run/docker.sock";
/// No engine, as it is said on the command line.
const NONE: &str = "none";

/// The Docker engine of a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DockerHost {
    /// None, even if there is one.
    None,
    /// By this socket, whenever it answers.
    Unix(PathBuf),
}

impl DockerHost {
    /// From what the command line says: `unix:///path` or `none`.
    ///
    /// # Errors
    /// Why it is neither, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            None if text == NONE => Ok(Self::None),
            Some(_) | None => Err(format!("must be unix:///path/of/the/socket or {NONE}")),
        }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match self {
            Self::None => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl Default for DockerHost {
    fn default() -> Self {
        Self::Unix(SOCKET.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_or_none() {
        assert_eq!(DockerHost::parse("unix:///run/d.sock"), Ok(DockerHost::Unix("/run/d.sock".into())));
        assert_eq!(DockerHost::parse("none"), Ok(DockerHost::None));
        assert_eq!(DockerHost::parse("unix:///var/run/docker.sock"), Ok(DockerHost::default()));
        for bad in ["", "tcp://127.0.0.1:2375", "unix://relative", "/var/run/docker.sock"] {
            assert!(DockerHost::parse(bad).is_err(), "{bad}");
        }
    }
}
