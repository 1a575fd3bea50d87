//! Every reader of a story gets the same events with the same bytes: early, late, slow, many, cut off, and over restarts.

use crate::{story, stream, submit};
use e2e::{Cluster, Gate, connected, eventually, http, http::Event};
use rustix::process::Signal;
use std::{net::SocketAddr, thread};

/// Readers of one task at once; BATON_TEST_READERS asks for more.
const READERS: usize = 200;

/// Writes to both streams, text and other bytes, in many small pieces, and says how far it is.
fn chatty(pieces: usize) -> String {
    format!(
        "i=0; while [ $i -lt {pieces} ]; do echo line $i; echo oh $i >&2; printf '\\377\\000'; i=$((i+1)); sleep 0.01; done; \
         echo '50 half of it' >&$BATON_PROGRESS_FD"
    )
}

/// Follows to the end, and on a new connection whenever one ends: behind the last event that it has.
fn follow(address: SocketAddr, id: &str) -> Vec<Event> {
    let mut seen: Vec<Event> = Vec::new();
    while !seen.last().is_some_and(Event::is_final) {
        let last = seen.last().map(|event| event.field("id").to_owned());
        let open = || http::Events::try_open(address, &stream(id), last.as_deref()).ok().filter(|e| e.status == 200);
        seen.extend(eventually("somebody to answer", open));
    }
    seen
}

fn assert_same(name: &str, seen: &[Event], story: &[Event]) {
    let first = seen.iter().zip(story).find(|(a, b)| a != b);
    assert!(seen == story, "{name}: {} events of {}, first difference: {first:?}", seen.len(), story.len());
}

#[test]
fn a_hundred_reconnects_and_many_readers_get_the_same_events_with_the_same_bytes() {
    let cluster = Cluster::start(1);
    connected(&cluster, 1);
    let (address, gate) = (cluster.http_address, Gate::new(cluster.dir(), "gate"));
    let id = submit(&cluster, &format!("{}; {}", chatty(60), gate.line()));
    let readers = std::env::var("BATON_TEST_READERS").ok().and_then(|n| n.parse().ok()).unwrap_or(READERS);
    let many: Vec<_> = (0..readers)
        .map(|_| {
            let path = stream(&id);
            let follow = move || {
                let events = http::Events::open(address, &path, None);
                assert_eq!(events.status, 200, "{}", events.rest());
                events.collect::<Vec<_>>()
            };
            thread::Builder::new().stack_size(256 * 1024).spawn(follow).unwrap()
        })
        .collect();
    gate.begun(1);
    // Each time one more event and off again, while the task runs and after its end.
    let mut seen: Vec<Event> = Vec::new();
    for connection in 0.. {
        if connection == 50 {
            gate.open();
        }
        let last = seen.last().map(|event| event.field("id").to_owned());
        let mut events = http::Events::open(address, &stream(&id), last.as_deref());
        if connection < 100 {
            seen.extend(events.next());
            continue;
        }
        seen.extend(events);
        break;
    }
    let story = story(&cluster, &id);
    assert!(story.len() > 101, "{} events", story.len());
    assert_same("100 reconnects", &seen, &story);
    for (n, reader) in many.into_iter().enumerate() {
        assert_same(&format!("reader {n}"), &reader.join().unwrap(), &story);
    }
    let ids: std::collections::BTreeSet<_> = story.iter().map(|event| event.field("id")).collect();
    assert_eq!(ids.len(), story.len(), "each event has an id of its own");
    assert!(story.iter().any(|event| event.field("event") == "progress"), "{story:?}");
    for event in story.iter().filter(|event| event.field("event") == "response") {
        let data = event.response();
        assert!(data["output"].is_string() != data["output_base64"].is_string(), "{data}");
    }
    let all = story.len() as u64;
    let sequences: Vec<_> = story
        .iter()
        .map(|event| if event.field("event") == "progress" { event.data() } else { event.response() })
        .map(|data| data["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, (1..=all).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_has_seen_the_end_is_told_to_stop() {
    let cluster = Cluster::start(1);
    let id = submit(&cluster, "echo done");
    let story = story(&cluster, &id);
    let behind = |event: &Event| http::Events::open(cluster.http_address, &stream(&id), Some(event.field("id")));
    let end = behind(story.last().unwrap());
    assert_eq!((end.status, end.count()), (204, 0));
    let before = behind(&story[story.len() - 2]);
    assert_eq!(before.status, 200);
    assert_same("the last one", &before.collect::<Vec<_>>(), &story[story.len() - 1..]);
}

#[test]
fn a_slow_reader_holds_nobody_up_and_misses_nothing() {
    let cluster = Cluster::start(1);
    connected(&cluster, 1);
    // More than all buffers on the way together.
    let id = submit(&cluster, "head -c 24000000 /dev/zero | tr '\\0' x; echo; echo end >&2");
    let slow = http::Events::open(cluster.http_address, &stream(&id), None);
    let path = format!("/tasks/{id}");
    eventually("the end of the task", || {
        (http::get(cluster.http_address, &path).json()["status"] == "completed").then_some(())
    });
    let slow: Vec<_> = slow.collect();
    assert_same("the slow reader", &slow, &story(&cluster, &id));
    let bytes: usize = slow.iter().filter_map(|event| event.response()["output"].as_str().map(str::len)).sum();
    assert!(bytes > 24_000_000, "{bytes}");
}

#[test]
fn streams_go_on_when_the_gateway_or_the_scheduler_starts_again() {
    let mut cluster = Cluster::start(1);
    connected(&cluster, 1);
    let gates = ["a", "b", "c"].map(|name| Gate::new(cluster.dir(), name));
    let lines: Vec<_> = gates.iter().map(|gate| format!("{}; {}", chatty(5), gate.line())).collect();
    let id = submit(&cluster, &lines.join("; "));
    let address = cluster.http_address;
    let reader = {
        let id = id.clone();
        thread::spawn(move || follow(address, &id))
    };
    gates[0].begun(1);
    // A graceful stop ends open streams at once; what is killed breaks off.
    let mut gateway = cluster.gateway.take().unwrap();
    gateway.signal(Signal::INT);
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    gates[0].open();
    cluster.start_gateway();
    gates[1].begun(1);
    cluster.kill_gateway();
    gates[1].open();
    cluster.start_gateway();
    gates[2].begun(1);
    cluster.kill_scheduler();
    cluster.start_scheduler();
    gates[2].open();
    assert_same("the reader", &reader.join().unwrap(), &story(&cluster, &id));
}
