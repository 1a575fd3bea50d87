//! The limits of every port, each with its reason; docs/limits.md has them as a table.

use std::time::Duration;

/// Open connections, if there are descriptors for so many. When all are taken, new ones wait in the kernel's queue.
pub(crate) const CONNECTIONS: usize = 16_384;
/// Of these, so many of one address: a thousand workers behind one, with two each, and an eighth of all. Further ones are
/// closed at once. This machine's own addresses have no such limit: a proxy that runs here carries everybody.
pub(crate) const CONNECTIONS_OF_ADDRESS: usize = 2_048;
/// Connections of one address that haven't asked anything yet: those that come back at once after a restart, with a second
/// for each handshake. Whoever only opens them gets no further.
pub(crate) const FRESH_OF_ADDRESS: usize = 512;
/// TLS handshakes at a time, at about 40 KiB each. Further ones wait their turn, within [`HANDSHAKE_WITHIN`].
pub(crate) const HANDSHAKES: usize = 1_024;
/// A handshake takes a few round trips; one that takes longer is meant to.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// A connection has so long to ask something, and HTTP/1 to send its headers; an idle connection of HTTP/1 lasts as long.
pub(crate) const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Headers of one HTTP/2 request.
pub(crate) const HEADER_BYTES: u32 = 16 * 1024;
/// Headers of one HTTP/1 request with its first line, and what is read ahead of its body.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;
/// Header lines of one HTTP/1 request: browsers behind proxies send about thirty.
pub(crate) const HEADER_LINES: usize = 100;
/// Calls at a time on one connection: a gateway carries all its watchers on one.
pub(crate) const STREAMS: u32 = 16_384;
/// Calls at a time of one address, on all its connections: twice what one may have, because a gateway with a connection
/// full of watchers has others for its calls. This machine's own addresses have no such limit.
pub(crate) const CALLS_OF_ADDRESS: usize = 32_768;
/// Calls at a time of all: two such addresses, at about 20 KiB each. Further ones are refused at once, and told to come
/// again.
pub(crate) const CALLS: usize = 65_536;
/// Calls that were reset before they were looked at. A client that opens and resets faster than that does nothing else
/// ("rapid reset", CVE-2023-44487), and its connection is closed.
pub(crate) const RESETS_WAITING: usize = 20;
/// Calls that this side had to reset because of what the client sent: so many mistakes are no mistakes, and its
/// connection is closed.
pub(crate) const RESETS_OF_OURS: usize = 256;
/// A request's body is free up to this: nearly all are smaller, and are taken whatever others send.
pub(crate) const BODY_FREE_BYTES: usize = 64 * 1024;
/// Beyond that, bodies of clients' requests that are on their way to one port may have so much together; further ones
/// are refused. A message of the largest kind has 16 MiB.
pub(crate) const BODIES_BYTES: usize = 256 * 1024 * 1024;
/// A body of which more came than is free is given up after this: it holds memory for as long as its sender likes.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Answers that a stream may have waiting for a slow reader; beyond it the sender waits.
pub(crate) const SEND_BUFFER_BYTES: usize = 512 * 1024;
/// A peer of HTTP/2 that doesn't answer a ping within [`PING_TIMEOUT`] is gone.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(15);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// HTTP/1 has no pings: on a connection on which nothing is sent the kernel asks after so long, so often, at such intervals.
/// While something is sent it has a patience of its own; a limit on that (TCP_USER_TIMEOUT) would also hit readers that
/// are there and slow.
pub(crate) const PROBE_AFTER: Duration = Duration::from_secs(30);
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(10);
pub(crate) const PROBES: u32 = 3;
/// After an accept failed (too many descriptors), wait for some to be closed.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
