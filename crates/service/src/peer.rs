//! Who is at the other end of a connection, as far as the connection itself says.

use std::net::SocketAddr;

/// The other end. In the extensions of every request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What its certificate says, if it has brought one that was verified.
    pub name: Option<PeerName>,
}

/// What a verified certificate says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerName {
    /// A service of this name.
    Service(String),
    /// The worker with this id.
    Worker(String),
}
