//! GET without a library: what is asked here is a few lines long.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// The status and body of a route; status 0 if nobody answers. Not for answers that go on and on.
pub fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut answer = Vec::new();
    // HTTP/1.0: the body comes in one piece.
    let asked = TcpStream::connect(address).and_then(|mut socket| {
        write!(socket, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        socket.read_to_end(&mut answer)
    });
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    (if asked.is_ok() { status.unwrap_or(0) } else { 0 }, body.to_owned())
}
