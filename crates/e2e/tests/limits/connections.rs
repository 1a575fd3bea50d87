//! Connections that ask slowly, or nothing.

use crate::others_are_served;
use e2e::{Cluster, PATIENCE, binary, http::http};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
};

/// So many at a time.
const CONNECTIONS: usize = 200;

fn open(address: SocketAddr, beginning: &[u8]) -> Vec<TcpStream> {
    let one = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(beginning).unwrap();
        stream
    };
    (0..CONNECTIONS).map(one).collect()
}

/// Waits until the service has hung up on all of them; gives what it said to the first.
fn all_closed(streams: Vec<TcpStream>) -> String {
    let mut said = Vec::new();
    for (number, mut stream) in streams.into_iter().enumerate() {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{number}: {error}"),
        }
        if number == 0 {
            said = rest;
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn who_sends_headers_slowly_or_nothing_is_hung_up_on() {
    let cluster = Cluster::start(0);
    let slow = open(cluster.http_address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: 1");
    let silent = open(cluster.http_address, b"");
    let greeted = open(cluster.gateway_address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    others_are_served(&cluster);
    for streams in [slow, silent, greeted] {
        all_closed(streams);
    }
    others_are_served(&cluster);
}

#[test]
fn who_stalls_a_handshake_is_hung_up_on() {
    let mut cluster = Cluster::empty();
    let ca = cluster.dir().join("ca");
    let text = ca.to_string_lossy().into_owned();
    for args in [vec!["init", &text], vec!["issue", &text, "--service", "scheduler"]] {
        assert!(Command::new(binary("baton")).arg("ca").args(args).output().unwrap().status.success());
    }
    cluster.scheme = "https";
    let at = |name: &str| ca.join(name).to_string_lossy().into_owned();
    cluster.scheduler_args = vec!["--tls-cert".into(), at("scheduler.crt"), "--tls-key".into(), at("scheduler.key")];
    cluster.gateway_args = vec!["--tls-ca".into(), at("ca.crt")];
    cluster.start_scheduler();
    // The beginning of a handshake's record, and no more of it.
    let stalled = open(cluster.scheduler_address, &[22, 3, 1, 2, 0, 1, 0]);
    let silent = open(cluster.scheduler_address, b"");
    cluster.start_gateway();
    e2e::eventually("the gateway gets through", || {
        (http(cluster.http_address, "GET", "/readyz", &[], "").status == 200).then_some(())
    });
    others_are_served(&cluster);
    all_closed(stalled);
    all_closed(silent);
    others_are_served(&cluster);
}

#[test]
fn heads_have_a_size() {
    let cluster = Cluster::start(0);
    let answer = |head: &str| {
        let mut stream = TcpStream::connect(cluster.http_address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Who is refused half way may not be able to say all of it.
        let _ = stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n").as_bytes());
        let mut text = [0; 12];
        match stream.read_exact(&mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => error.to_string(),
        }
    };
    let long = |bytes: usize| format!("X-Long: {}", "x".repeat(bytes));
    let many = |lines: usize| (0..lines).map(|n| format!("X-{n}: y")).collect::<Vec<_>>().join("\r\n");
    assert_eq!(answer(&long(32 * 1024)), "HTTP/1.1 200");
    assert_eq!(answer(&many(90)), "HTTP/1.1 200");
    assert_eq!(answer(&long(128 * 1024)), "HTTP/1.1 431");
    assert_eq!(answer(&many(150)), "HTTP/1.1 431");
}
