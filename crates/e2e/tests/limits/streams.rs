//! Calls of one connection: very many, and very many that are given up at once.

use crate::{gateway_mib, others_are_served};
use e2e::{Cluster, PATIENCE, shell};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};
use wire::v1;

/// So many stories are followed at a time.
const STREAMS: usize = 10_000;
/// They are opened by so many at a time.
const AT_ONCE: usize = 100;
/// What each may cost the gateway and its allocator.
const STREAM_KIB: f64 = 64.0;
/// Calls that are reset at once: far more than any client gives up in one breath.
const RESETS: u32 = 20_000;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// GET /healthz of localhost, in HPACK: two indexed fields, two literals.
const HEADERS: &[u8] = b"\x82\x86\x04\x08/healthz\x01\x09localhost";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn who_resets_calls_faster_than_they_can_be_answered_is_hung_up_on() {
    let cluster = Cluster::start(0);
    let before = gateway_mib(&cluster);
    let mut stream = TcpStream::connect(cluster.http_address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = PREFACE.to_vec();
    for number in 0..RESETS {
        let id = number * 2 + 1;
        // HEADERS with END_HEADERS and END_STREAM, then RST_STREAM because of CANCEL.
        bytes.extend(frame(1, 5, id, HEADERS));
        bytes.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
    }
    // Whoever is hung up on can't say the rest.
    let sent = stream.write_all(&bytes).is_ok();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    // GOAWAY because of ENHANCE_YOUR_CALM, unless the reset that ends the connection has overtaken it.
    let calm = answer.windows(4).any(|window| window == 11_u32.to_be_bytes());
    println!("{RESETS} resets: all sent: {sent}, told to calm down: {calm}, ended: {ended:?}");
    let timed_out = ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!timed_out, "the connection must end");
    let grown = gateway_mib(&cluster) - before;
    println!("the gateway's memory grew by {grown:.1} MiB");
    others_are_served(&cluster);
}

#[tokio::test]
async fn ten_thousand_streams_of_one_connection_cost_what_they_may_and_nobody_else_notices() {
    let cluster = Cluster::start(0);
    let gateway = cluster.client();
    let id = gateway.clone().submit_task(shell("true")).await.unwrap().into_inner().task_id;
    let before = gateway_mib(&cluster);
    let mut open = Vec::with_capacity(STREAMS);
    while open.len() < STREAMS {
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let request = v1::WatchTaskRequest { task_id: id.clone(), ..Default::default() };
            let mut gateway = gateway.clone();
            opening.spawn(async move { gateway.watch_task(request).await.unwrap().into_inner() });
        }
        open.extend(opening.join_all().await);
    }
    let grown = gateway_mib(&cluster) - before;
    let each = grown * 1024.0 / STREAMS as f64;
    println!("{STREAMS} streams: {each:.1} KiB each in the gateway");
    assert!(each < STREAM_KIB, "{each} KiB");
    others_are_served(&cluster);
    drop(open);
    others_are_served(&cluster);
}
