//! Bodies that are too large, too deep, or too many.

use crate::{gateway_mib, others_are_served};
use e2e::{Cluster, PATIENCE, http::http};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

/// Nested deeper than any task is.
const DEEP: usize = 100_000;
/// What may be sent at a time, by docs/limits.md.
const ALL_MIB: f64 = 256.0;
/// What an allocator keeps, and copies on their way.
const SLACK_MIB: f64 = 128.0;

/// Announces a body and sends so much of it; gives the connection, as far as it got.
fn sending(address: SocketAddr, announced: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n\""
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let mut left = sent;
    while left > 0 && stream.write_all(&piece[..left.min(piece.len())]).is_ok() {
        left -= left.min(piece.len());
    }
    stream
}

/// The status of the answer, if one comes.
fn status(mut stream: TcpStream) -> String {
    let mut text = [0; 12];
    stream
        .read_exact(&mut text)
        .map_or_else(|error| error.kind().to_string(), |()| String::from_utf8_lossy(&text).into())
}

#[test]
fn a_gigabyte_is_refused_when_it_gets_too_large() {
    let cluster = Cluster::start(0);
    let before = gateway_mib(&cluster);
    let answer = status(sending(cluster.http_address, 1 << 30, 1 << 30));
    // An answer that comes while the rest is still being sent may be lost to the reset that ends the connection.
    assert!(["HTTP/1.1 413", "connection reset"].contains(&answer.as_str()), "{answer}");
    let grown = gateway_mib(&cluster) - before;
    println!("a body of 1 GiB: the gateway's memory grew by {grown:.0} MiB");
    assert!(grown < SLACK_MIB, "{grown} MiB");
    others_are_served(&cluster);
}

#[test]
fn many_large_bodies_share_what_there_is_and_small_ones_go_on() {
    let cluster = Cluster::start(0);
    let before = gateway_mib(&cluster);
    let open: Vec<TcpStream> = (0..40).map(|_| sending(cluster.http_address, 15 << 20, 14 << 20)).collect();
    others_are_served(&cluster);
    let grown = gateway_mib(&cluster) - before;
    println!("40 bodies of 14 MiB that don't end: the gateway's memory grew by {grown:.0} MiB");
    assert!(grown < ALL_MIB + SLACK_MIB, "{grown} MiB");
    let answers: Vec<String> = open.into_iter().map(status).collect();
    let refused = answers.iter().filter(|answer| *answer == "HTTP/1.1 429").count();
    assert!(refused >= 20, "the others have to wait: {answers:?}");
    others_are_served(&cluster);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let cluster = Cluster::start(0);
    let deep = format!(r#"{{"name": "x", "payload": {}1{}}}"#, "[".repeat(DEEP), "]".repeat(DEEP));
    for (path, body) in [("/tasks", deep.clone()), ("/tasks/shell", deep.clone()), ("/tasks/batch", "[".repeat(DEEP))] {
        let answer = http(cluster.http_address, "POST", path, &[], &body);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    others_are_served(&cluster);
}
