//! What a worker and its scheduler tell each other comes out of the wire as it went in, and nonsense doesn't.

use bytes::Bytes;
use domain::{
    AttemptId, AttemptNo, Commit, Epoch, Exit, Frame, HandlerRun, HeldAttempt, HeldPhase, Hello, Incarnation,
    KillLevel, Offer, Order, OrderBatch, Progress, Report, ReportKind, RetryPolicy, Run, Spec, Start, StreamName, Tail,
    TaskId, Totals, UnixMillis, Welcome, WorkerId,
};
use prost::Message;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wire::{v1, worker};

/// Through the bytes and back.
fn travel<T: Message + Default>(message: T) -> T {
    T::decode(&*message.encode_to_vec()).expect("what was encoded can be decoded")
}

fn attempt() -> AttemptId {
    AttemptId { task: TaskId::from_parts(1_700_000_000_000, 0, 7, 9), no: AttemptNo(3) }
}

fn member() -> AttemptId {
    AttemptId { task: attempt().task.member(17), ..attempt() }
}

fn frame() -> Frame {
    let data = vec![0, 255, 10].into();
    Frame { attempt: attempt(), number: 2, stream: StreamName::Stderr, offset: 5, at: UnixMillis(8), data, dropped: 0 }
}

fn exited(exit: Exit) -> ReportKind {
    let totals = Totals { frames: 2, stdout: 5, stderr: 3 };
    ReportKind::Exited { exit, totals, tail: Tail(vec![frame()]), result: vec![1], run_us: 77, tree_gone: true }
}

#[test]
fn hello_keeps_everything() {
    let held = [HeldPhase::Prefetched, HeldPhase::Running, HeldPhase::Exited];
    let totals = Totals { frames: 1, stdout: 2, stderr: 3 };
    let hello = Hello {
        worker: WorkerId::new("w"),
        incarnation: Incarnation("i".into()),
        labels: BTreeMap::from([("a".into(), "b".into())]),
        shell: true,
        docker: true,
        handlers: ["resize".to_owned()].into(),
        demo: true,
        opened: 9,
        highest_epoch: Epoch(7),
        held: held.map(|phase| HeldAttempt { attempt: attempt(), phase, totals }).to_vec(),
        slots: 4,
        address: "127.0.0.1:1".into(),
        kill_level: Some(KillLevel::CgroupV2),
        version: "1.2".into(),
    };
    assert_eq!(worker::hello(travel(worker::v1_hello(hello.clone()))), Ok(hello));
}

#[test]
fn updates_keep_everything() {
    let kinds = [
        ReportKind::Started,
        ReportKind::Progressed(Progress { percent: 42, message: "m".into() }),
        exited(Exit::Code(3)),
        exited(Exit::Signal(9)),
        exited(Exit::TimedOut(Duration::from_millis(1_500))),
        exited(Exit::NotStarted("why".into())),
        exited(Exit::Killed),
        exited(Exit::HandlerError("bad".into())),
        ReportKind::Refused("no".into()),
        ReportKind::Recalled,
        ReportKind::Lost,
    ];
    let reports: Vec<_> = (1..).zip(kinds).map(|(number, kind)| Report { number, attempt: attempt(), kind }).collect();
    let offer = Some(Offer { starts: 9, prefetch: 3 });
    let wire = worker::v1_update(reports.clone(), offer, UnixMillis(1));
    assert_eq!(worker::update(travel(wire)), Ok((reports, offer)));
}

#[test]
fn orders_keep_everything() {
    let spec = Spec {
        name: "resize".into(),
        description: "d".into(),
        run: Run::Handler(HandlerRun { payload: vec![1, 2] }),
        timeout: Some(Duration::from_millis(1_500)),
        retry: RetryPolicy { max_retries: 2 },
        on_lost: domain::OnLost::Fail,
        key: None,
        worker: Some(WorkerId::new("w")),
        labels: BTreeMap::from([("a".into(), "b".into())]),
        priority: -3,
        queue: "q".into(),
        run_at: Some(UnixMillis(5)),
        array: None,
        start_within: Some(Duration::from_secs(7)),
        trace: Some(domain::TraceContext { trace: [1; 16], span: [2; 8], flags: 1 }),
        trace_state: "rojo=1,congo=2".into(),
    };
    let (spec, lost_after) = (Arc::new(spec), Duration::from_secs(60));
    let orders = vec![
        Order::Welcome(Welcome { session: 4, lost_after, store_id: "s".into(), highest_commit: Commit(5) }),
        Order::Start(Start { attempt: attempt(), spec: Arc::clone(&spec), class: 6, entry: None }),
        Order::Start(Start { attempt: member(), spec, class: 6, entry: Some("".into()) }),
        Order::Kill(attempt()),
        Order::Recall(attempt()),
        Order::Forget(8),
        Order::Drain,
    ];
    let batch = OrderBatch { shard: 0, epoch: Epoch(2), sequence: 3, orders };
    assert_eq!(worker::order_batch(travel(worker::v1_assignment(batch.clone()))), Ok(batch));
}

#[test]
fn a_member_is_started_without_the_ranges_of_its_array() {
    let array = v1::TaskArray { ranges: vec![v1::Range { first: 1, last: 1_000 }], entries: Vec::new() };
    let spec = Spec::try_from(v1::TaskSpec { name: "n".into(), array: Some(array), ..Default::default() });
    let spec = Arc::new(spec.expect("a spec"));
    let start = |spec| Order::Start(Start { attempt: member(), spec, class: 1, entry: Some("line 17".into()) });
    let batch = |spec| OrderBatch { shard: 0, epoch: Epoch(1), sequence: 1, orders: vec![start(spec)] };
    let alone = Arc::new(Spec { array: None, ..Spec::clone(&spec) });
    assert_eq!(worker::order_batch(travel(worker::v1_assignment(batch(spec)))), Ok(batch(alone)));
}

#[test]
fn a_line_that_is_kept_lets_go_of_the_message_that_it_came_in() {
    let message = Bytes::from(vec![b'x'; 1 << 20]);
    let received = |data| worker::frame(v1::OutputFrame { data, ..worker::v1_frame(frame()) }).expect("a frame");
    let line = received(message.slice(..80));
    assert!(message.is_unique(), "the line has bytes of its own");
    let large = received(message.slice(..200_000));
    assert_eq!(large.data.as_ptr(), message.as_ptr(), "copied, though it is most of its message");
    assert_eq!(line.data, large.data[..80]);
}

#[test]
fn frames_and_acknowledgements_keep_everything() {
    assert_eq!(worker::frame(travel(worker::v1_frame(frame()))), Ok(frame()));
    assert_eq!(worker::ack(travel(worker::v1_ack(attempt(), 5))), Ok((attempt(), 5)));
}

#[test]
fn reasons_are_cut() {
    let long = "ü".repeat(10_000);
    for kind in [
        ReportKind::Refused(long.clone()),
        exited(Exit::NotStarted(long.clone())),
        exited(Exit::HandlerError(long.clone())),
    ] {
        let said = Report { number: 1, attempt: attempt(), kind };
        let update = travel(worker::v1_update(vec![said], None, UnixMillis(1)));
        let (reports, _) = worker::update(update).unwrap();
        let (ReportKind::Refused(why)
        | ReportKind::Exited { exit: Exit::NotStarted(why) | Exit::HandlerError(why), .. }) = &reports[0].kind
        else {
            panic!("{reports:?}")
        };
        assert!(why.len() <= 4_099 && why.starts_with("üü") && why.ends_with('…'), "{}", why.len());
    }
}

#[test]
fn nonsense_is_refused_with_its_field() {
    let frame = |change: fn(&mut v1::OutputFrame)| {
        let mut wire = worker::v1_frame(frame());
        change(&mut wire);
        worker::frame(wire).unwrap_err().text().to_owned()
    };
    let report = |report: Option<v1::report::Report>| {
        let report = v1::Report { number: 1, task_id: attempt().task.to_string(), attempt: 1, report };
        worker::update(v1::WorkerUpdate { reports: vec![report], offer: None }).unwrap_err().text().to_owned()
    };
    let progressed = |percent| v1::report::Report::Progressed(v1::Progressed { percent, ..Default::default() });
    let exited = |how| v1::report::Report::Exited(v1::Exited { how, ..Default::default() });
    // Another's output in the report of one's own end.
    let tail = vec![worker::v1_frame(Frame { attempt: member(), ..self::frame() })];
    let how = Some(v1::exited::How::Code(0));
    let smuggled = v1::report::Report::Exited(v1::Exited { how, tail, ..Default::default() });
    let refused = |number, times| {
        let what = v1::report::Report::Recalled(v1::Recalled {});
        let report = v1::Report { number, task_id: attempt().task.to_string(), attempt: 1, report: Some(what) };
        worker::update(v1::WorkerUpdate { reports: vec![report; times], offer: None }).unwrap_err().text().to_owned()
    };
    let table = [
        (frame(|f| f.task_id = "x".into()), "task_id"),
        (frame(|f| f.attempt = 0), "attempt"),
        (frame(|f| f.number = 0), "number"),
        (frame(|f| f.stream = 9), "stream"),
        (frame(|f| f.data = vec![0; 256 * 1024 + 1].into()), "data"),
        (frame(|f| f.dropped = 1), "dropped"),
        (frame(|f| f.offset = u64::MAX), "offset"),
        (report(None), "report"),
        (report(Some(progressed(101))), "percent"),
        (report(Some(progressed(-1))), "percent"),
        (report(Some(exited(None))), "how"),
        (report(Some(exited(Some(v1::exited::How::Signal(-4))))), "signal"),
        (report(Some(exited(Some(v1::exited::How::TimedOutMs(-4))))), "timed_out_ms"),
        (report(Some(smuggled)), "tail"),
        (refused(0, 1), "number"),
        (refused(1, 20_000), "reports"),
    ];
    for (text, field) in table {
        assert!(text.starts_with(&format!("{field}: ")), "{text} should name {field}");
    }
}
