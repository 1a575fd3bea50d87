//! What clients meet at the gateway while its scheduler is away, breaks, or refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stand_in;

use client::{Error, v1};
use domain::Kind;
use futures_util::{StreamExt as _, future::join_all};
use prost::Message as _;
use stand_in::{Door, Nowhere, Scheduler};

const ID: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";

fn named(name: &str) -> v1::TaskSpec {
    v1::TaskSpec { name: name.into(), ..Default::default() }
}

/// An array with so many entries of 1 KiB.
fn array(ranges: &[(u32, u32)], entries: usize) -> v1::TaskSpec {
    let ranges = ranges.iter().map(|(first, last)| v1::Range { first: *first, last: *last }).collect();
    v1::TaskSpec { array: Some(v1::TaskArray { ranges, entries: vec!["x".repeat(1024); entries] }), ..named("x") }
}

fn any_port() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[tokio::test]
async fn without_a_scheduler_every_call_says_so() {
    let nowhere = Nowhere::hold();
    let scheduler = nowhere.addr();
    let door = Door::open(scheduler).await;
    let c = &door.client;
    let list = v1::ListTasksRequest::default;
    let read = v1::ReadOutputRequest { task_id: ID.into(), stream: 1, ..Default::default() };
    let errors = [
        c.submit(named("x")).await.map(drop).unwrap_err(),
        c.submit_many(vec![named("x")]).await.map(drop).unwrap_err(),
        c.run(named("x"), true).await.map(drop).unwrap_err(),
        c.get(ID).await.map(drop).unwrap_err(),
        c.list(list()).await.map(drop).unwrap_err(),
        c.cancel(ID, true).await.map(drop).unwrap_err(),
        c.cancel_many(v1::CancelTasksRequest { all: true, ..Default::default() }).await.map(drop).unwrap_err(),
        c.retry(ID).await.map(drop).unwrap_err(),
        c.explain(ID).await.map(drop).unwrap_err(),
        c.workers().await.map(drop).unwrap_err(),
        c.drain("w1", false).await.map(drop).unwrap_err(),
        c.forget("w1").await.map(drop).unwrap_err(),
        c.queues().await.map(drop).unwrap_err(),
        c.pause("q", false).await.map(drop).unwrap_err(),
        c.resolve("last").await.map(drop).unwrap_err(),
        c.watch(ID, "", true).await.map(drop).unwrap_err(),
        c.output(read).await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), Some(Kind::Unavailable));
        assert_eq!(error.to_string(), format!("no scheduler at http://{scheduler}"));
    }
    assert!(!c.health().await.unwrap().healthy);
    door.close().await;
}

#[tokio::test]
async fn wrong_input_needs_no_scheduler_to_be_refused() {
    let nowhere = Nowhere::hold();
    let door = Door::open(nowhere.addr()).await;
    let c = &door.client;
    let page = v1::ListTasksRequest { page_size: -1, ..Default::default() };
    let read = |task_id: &str, stream| v1::ReadOutputRequest { task_id: task_id.into(), stream, ..Default::default() };
    let table = [
        ("name: ", c.submit(named("")).await.map(drop)),
        ("name: ", c.run(named(""), true).await.map(drop)),
        ("tasks: ", c.submit_many(Vec::new()).await.map(drop)),
        ("tasks: ", c.submit_many(vec![named("x"); 10_001]).await.map(drop)),
        ("tasks[1].name: ", c.submit_many(vec![named("x"), named("")]).await.map(drop)),
        ("task_id: ", c.get("").await.map(drop)),
        ("task_id: ", c.get("last").await.map(drop)),
        ("task_id: ", c.cancel("0199", true).await.map(drop)),
        ("task_id: ", c.watch("x", "", false).await.map(drop)),
        ("after: ", c.watch(ID, "first", false).await.map(drop)),
        ("task_id: ", c.output(read("x", 1)).await.map(drop)),
        ("stream: ", c.output(read(ID, 0)).await.map(drop)),
        ("page_size: ", c.list(page).await.map(drop)),
        ("array.ranges: ", c.submit(array(&[(2, 1)], 0)).await.map(drop)),
        ("array.entries: ", c.submit(array(&[(1, 2)], 1)).await.map(drop)),
        ("all: ", c.cancel_many(v1::CancelTasksRequest::default()).await.map(drop)),
        ("task_id: ", c.retry("last").await.map(drop)),
        ("task_id: ", c.explain("").await.map(drop)),
        ("worker_id: ", c.drain("", true).await.map(drop)),
        ("worker_id: ", c.forget("").await.map(drop)),
        ("queue: ", c.pause("", true).await.map(drop)),
    ];
    for (field, result) in table {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Some(Kind::Invalid), "{field}: {error}");
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
    door.close().await;
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_unreachable() {
    let nowhere = Nowhere::hold();
    let addr = nowhere.addr();
    let client = client::Client::connect(&format!("http://{addr}")).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no gateway at http://{addr}"));
}

#[tokio::test]
async fn the_scheduler_is_found_when_it_comes() {
    let scheduler = Scheduler::new();
    let nowhere = Nowhere::hold();
    let addr = nowhere.addr();
    let door = Door::open(addr).await;
    assert!(door.client.submit(named("x")).await.is_err());
    let running = scheduler.start(addr).await;
    let accepted = door.client.submit(named("x")).await.unwrap();
    assert_eq!(accepted.state_reason, "no_worker: no worker is connected");
    assert_eq!(door.client.get(&accepted.task_id).await.unwrap().spec.unwrap().name, "x");
    while !door.client.health().await.unwrap().healthy {
        tokio::task::yield_now().await;
    }
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_submit_waits_a_moment_for_a_scheduler_that_starts_with_the_gateway() {
    let nowhere = Nowhere::hold();
    let door = Door::open(nowhere.addr()).await;
    let scheduler = Scheduler::new();
    let (accepted, running) = tokio::join!(door.client.submit(named("x")), scheduler.start(nowhere.addr()));
    assert!(accepted.is_ok(), "{accepted:?}");
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_submit_whose_call_broke_is_repeated_with_the_same_ids() {
    let scheduler = Scheduler::new();
    scheduler.script.lock().unwrap().break_submits = 2;
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let accepted = door.client.submit(named("x")).await.unwrap();
    {
        let script = scheduler.script.lock().unwrap();
        let ids = vec![accepted.task_id.clone()];
        assert_eq!(script.submits, [(ids.clone(), false), (ids.clone(), true), (ids, true)]);
        assert_eq!(script.tasks.len(), 1);
    }
    door.close().await;
    running.stop().await;
}

/// Runs a task to its end through a gateway whose scheduler does as the script says; its id, and the ids of its events.
async fn ran(scheduler: &Scheduler) -> (String, Vec<String>) {
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let (accepted, story) = door.client.run(named("x"), true).await.unwrap();
    let ids = story.map(|event| event.unwrap().id).collect().await;
    door.close().await;
    running.stop().await;
    (accepted.task_id, ids)
}

#[tokio::test]
async fn a_run_goes_on_as_a_watch_when_its_stream_breaks() {
    let scheduler = Scheduler::new();
    let (id, events) = ran(&scheduler).await;
    assert_eq!(events, ["1.0", "2.0", "3.0"], "each event once, and the stream ends after the final one");
    let script = scheduler.script.lock().unwrap();
    assert_eq!(script.submits, [(vec![id], false)]);
    assert_eq!(script.watches, ["1.0", "2.0"]);
}

#[tokio::test]
async fn a_run_that_broke_before_it_was_accepted_is_repeated_as_a_submit_with_the_same_id() {
    let scheduler = Scheduler::new();
    scheduler.script.lock().unwrap().break_submits = 1;
    let (id, events) = ran(&scheduler).await;
    assert_eq!(events, ["1.0", "2.0", "3.0"]);
    let script = scheduler.script.lock().unwrap();
    assert_eq!(script.submits, [(vec![id.clone()], false), (vec![id], true)]);
    assert_eq!(script.tasks.len(), 1);
}

#[tokio::test]
async fn a_run_that_changed_nothing_is_repeated_with_a_new_id() {
    let scheduler = Scheduler::new();
    scheduler.script.lock().unwrap().refuse_submits = 1;
    let (id, events) = ran(&scheduler).await;
    assert_eq!(events.len(), 3);
    let script = scheduler.script.lock().unwrap();
    assert_eq!((script.submits.len(), &script.submits[1]), (2, &(vec![id.clone()], false)));
    assert_ne!(script.submits[0].0, [id]);
}

#[tokio::test]
async fn a_scheduler_of_before_there_were_runs_is_asked_to_submit_and_to_watch() {
    let scheduler = Scheduler::new();
    scheduler.script.lock().unwrap().old = true;
    let (id, events) = ran(&scheduler).await;
    assert_eq!(events, ["1.0", "2.0", "3.0"]);
    let script = scheduler.script.lock().unwrap();
    assert_eq!(script.submits, [(vec![id], false)]);
    assert_eq!(script.watches, ["", "1.0", "2.0"]);
}

#[tokio::test]
async fn a_submit_that_changed_nothing_is_repeated_with_new_ids() {
    let scheduler = Scheduler::new();
    scheduler.script.lock().unwrap().refuse_submits = 1;
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let accepted = door.client.submit(named("x")).await.unwrap();
    {
        let script = scheduler.script.lock().unwrap();
        let [(first, false), (second, false)] = &script.submits[..] else { panic!("{:?}", script.submits) };
        assert_ne!(first, second);
        assert_eq!((second, script.tasks.len()), (&vec![accepted.task_id.clone()], 1));
    }
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_retry_is_repeated_as_a_submit_is() {
    let scheduler = Scheduler::new();
    {
        let mut script = scheduler.script.lock().unwrap();
        (script.refuse_submits, script.break_submits) = (1, 1);
    }
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let accepted = door.client.retry(ID).await.unwrap();
    {
        let script = scheduler.script.lock().unwrap();
        let [(refused, _, false), (broken, _, false), (done, of, true)] = &script.retries[..] else {
            panic!("{:?}", script.retries)
        };
        assert_ne!(refused, broken, "nothing was changed: a new id");
        assert_eq!((broken, done, &**of), (done, &accepted.task_id, ID));
    }
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn an_array_with_many_entries_does_not_hold_up_other_submits() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    scheduler.go.send_replace(false);
    let client = door.client.clone();
    let large = tokio::spawn(async move { client.submit(array(&[(1, 12_000)], 12_000)).await.unwrap().task_id });
    while scheduler.script.lock().unwrap().submits.is_empty() {
        tokio::task::yield_now().await;
    }
    let client = door.client.clone();
    let small = tokio::spawn(async move { client.submit(named("small")).await });
    while scheduler.script.lock().unwrap().submits.len() < 2 {
        tokio::task::yield_now().await;
    }
    scheduler.go.send_replace(true);
    assert!(small.await.unwrap().is_ok());
    let id = large.await.unwrap();
    let entries = scheduler.script.lock().unwrap().tasks[&id].array.as_ref().map(|array| array.entries.len());
    assert_eq!(entries, Some(12_000));
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_task_larger_than_a_message_is_refused() {
    let nowhere = Nowhere::hold();
    let door = Door::open(nowhere.addr()).await;
    // A message may be this large, but not what it becomes on the way to the scheduler.
    let mut spec = array(&[(1, 12_000)], 12_000);
    spec.payload = vec![0; 16_711_680 - spec.encoded_len()];
    let error = door.client.submit(spec).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Invalid), "{error}");
    assert!(error.to_string().contains("16711680 bytes"), "{error}");
    door.close().await;
}

#[tokio::test]
async fn several_batches_of_one_caller_are_under_way_at_once() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    scheduler.go.send_replace(false);
    let batches = [0, 1, 2, 3].map(|_| {
        let client = door.client.clone();
        tokio::spawn(async move { client.submit_many(vec![named("x"); 1_000]).await.unwrap().len() })
    });
    while scheduler.script.lock().unwrap().submits.len() < 4 {
        tokio::task::yield_now().await;
    }
    scheduler.go.send_replace(true);
    let accepted: usize = join_all(batches).await.into_iter().map(|n| n.unwrap()).sum();
    assert_eq!(accepted, 4_000);
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn submits_that_come_while_one_is_under_way_share_a_call() {
    let scheduler = Scheduler::new();
    scheduler.go.send_replace(false);
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let calls = (0..50).map(|i| {
        let client = door.client.clone();
        tokio::spawn(async move { client.submit(named(&format!("t{i}"))).await.unwrap().task_id })
    });
    let calls: Vec<_> = calls.collect();
    while scheduler.script.lock().unwrap().submits.is_empty() {
        tokio::task::yield_now().await;
    }
    scheduler.go.send_replace(true);
    let mut ids: Vec<_> = join_all(calls).await.into_iter().map(|id| id.unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50, "each has its own id");
    {
        let script = scheduler.script.lock().unwrap();
        assert!(script.submits.len() < 50, "{} calls", script.submits.len());
        assert_eq!(script.tasks.len(), 50);
    }
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn one_callers_conflict_is_not_anothers() {
    let scheduler = Scheduler::new();
    scheduler.go.send_replace(false);
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let calls = ["a", "conflict", "b", "c"].map(|name| {
        let client = door.client.clone();
        tokio::spawn(async move { client.submit(named(name)).await })
    });
    while scheduler.script.lock().unwrap().submits.is_empty() {
        tokio::task::yield_now().await;
    }
    scheduler.go.send_replace(true);
    let kinds: Vec<_> = join_all(calls).await.into_iter().map(|r| r.unwrap().err().and_then(|e| e.kind())).collect();
    assert_eq!(kinds, [None, Some(Kind::Conflict), None, None]);
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn readers_go_on_where_a_broken_stream_was() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let story = door.client.watch(ID, "", true).await.unwrap();
    let ids: Vec<_> = story.map(|event| event.unwrap().id).collect().await;
    assert_eq!(ids, ["1.0", "2.0", "3.0"], "each event once, and the stream ends after the final one");
    let read = v1::ReadOutputRequest { task_id: ID.into(), stream: 1, follow: true, ..Default::default() };
    let output = door.client.output(read).await.unwrap();
    let bytes: Vec<u8> = output.map(|chunk| chunk.unwrap().data.to_vec()).concat().await;
    assert_eq!(bytes, b"0123456789");
    {
        let script = scheduler.script.lock().unwrap();
        assert_eq!(script.watches, ["", "1.0", "2.0"]);
        assert_eq!(script.reads, [(0, 0), (2, 3), (2, 6), (2, 9)]);
    }
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn progress_is_told_through_a_break_up_to_the_end() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let mut raw = v1::gateway_client::GatewayClient::connect(format!("http://{}", door.addr)).await.unwrap();
    let stream = raw.subscribe_progress(v1::ProgressRequest { task_id: ID.into() }).await.unwrap().into_inner();
    let told: Vec<_> = stream.map(|p| p.map(|p| (p.status(), p.progress_percent)).unwrap()).collect().await;
    use v1::TaskStatus::{Completed, Pending, Running};
    assert_eq!(told, [(Pending, 0), (Running, 0), (Completed, 100)]);
    drop(raw);
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn the_schedulers_refusals_keep_their_kind() {
    let running = Scheduler::new().start(any_port()).await;
    let door = Door::open(running.addr).await;
    assert_eq!(door.client.get(ID).await.unwrap_err().kind(), Some(Kind::NotFound));
    assert_eq!(door.client.cancel(ID, true).await.unwrap_err().kind(), Some(Kind::Precondition));
    assert_eq!(door.client.resolve("0").await.unwrap_err().kind(), Some(Kind::Precondition));
    assert_eq!(door.client.explain(ID).await.unwrap_err().kind(), Some(Kind::NotFound));
    assert_eq!(door.client.forget("w1").await.unwrap_err().kind(), Some(Kind::Precondition));
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn verbs_on_many_reach_the_scheduler() {
    let running = Scheduler::new().start(any_port()).await;
    let door = Door::open(running.addr).await;
    let c = &door.client;
    let cancelled = c.cancel_many(v1::CancelTasksRequest { queue: "q".into(), ..Default::default() }).await.unwrap();
    assert_eq!((cancelled.cancelled, cancelled.cancelling), (3, 2));
    assert_eq!((c.drain("w1", false).await, c.drain("w1", true).await), (Ok(4), Ok(0)));
    assert_eq!(c.pause("q", false).await, Ok(()));
    let queues = c.queues().await.unwrap();
    assert_eq!((&*queues[0].queue, queues[0].paused), ("q", true));
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_client_finds_a_restarted_gateway_and_goes_on() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let mut story = door.client.watch(ID, "", true).await.unwrap();
    assert_eq!(story.next().await.unwrap().unwrap().id, "1.0");
    let addr = door.addr;
    door.close().await;
    let scheduler_url = format!("http://{}", running.addr);
    let listen = addr.to_string();
    let options: gateway::Options = service::parse_from([
        "gateway",
        "--listen",
        &listen,
        "--http-listen",
        "127.0.0.1:0",
        "--scheduler",
        &scheduler_url,
    ])
    .unwrap();
    let stopping = service::Stopping::new();
    let again = tokio::spawn(gateway::run(options, stopping.clone()));
    let rest: Vec<_> = story.map(|event| event.unwrap().id).collect().await;
    assert_eq!(rest, ["2.0", "3.0"]);
    stopping.request();
    again.await.unwrap().unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_has_waited_long_enough_says_that_nobody_is_there() {
    let scheduler = Scheduler::new();
    let running = scheduler.start(any_port()).await;
    let door = Door::open(running.addr).await;
    let client = door.client.clone().patience(std::time::Duration::ZERO);
    let mut story = client.watch(ID, "", true).await.unwrap();
    assert_eq!(story.next().await.unwrap().unwrap().id, "1.0");
    door.close().await;
    let error = loop {
        // What was on the way when the gateway stopped may still come.
        if let Err(error) = story.next().await.unwrap() {
            break error;
        }
    };
    assert!(error.kind().is_none_or(|kind| kind == Kind::Unknown), "{error:?}");
    assert!(story.next().await.is_none(), "an error ends the story");
    running.stop().await;
}
