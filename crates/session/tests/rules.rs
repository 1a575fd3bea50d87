//! The session's rules as tables: what goes in, what comes out.

use domain::{
    AttemptId, AttemptNo, Commit, Epoch, Exit, Frame, HandlerRun, HeldAttempt, HeldPhase, Hello, Incarnation,
    KillLevel, Monotonic, Offer, Order, OrderBatch, Progress, Report, ReportKind, RetryPolicy, Run, Spec, Start,
    StreamName, TaskId, Totals, UnixMillis, Welcome, WorkerId,
};
use session::{Effect, HEARTBEAT, Input, Known, SILENCE, Session, SessionConfig, ToScheduler};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

fn attempt(n: u64) -> AttemptId {
    AttemptId { task: TaskId::from_parts(n, 0, 0, 0), no: AttemptNo::FIRST }
}

fn start(n: u64) -> Order {
    let spec = Spec {
        name: "noop".into(),
        description: String::new(),
        run: Run::Handler(HandlerRun::default()),
        timeout: None,
        retry: RetryPolicy { max_retries: 0 },
        on_lost: domain::OnLost::Retry,
        key: None,
        worker: None,
        labels: BTreeMap::new(),
        priority: 0,
        queue: "default".into(),
        run_at: None,
        start_within: None,
        array: None,
        trace: None,
        trace_state: String::new(),
    };
    Order::Start(Start { attempt: attempt(n), spec: Arc::new(spec), class: 1, entry: None })
}

fn welcome(store: &str) -> Order {
    let lost_after = Duration::from_secs(60);
    Order::Welcome(Welcome { session: 1, lost_after, store_id: store.into(), highest_commit: Commit(1) })
}

fn hello(slots: u32) -> Hello {
    Hello {
        worker: WorkerId::new("w"),
        incarnation: Incarnation("i".into()),
        labels: BTreeMap::new(),
        shell: true,
        docker: false,
        handlers: ["noop".to_owned()].into(),
        demo: false,
        opened: 0,
        highest_epoch: Epoch(0),
        held: Vec::new(),
        slots,
        address: String::new(),
        kill_level: Some(KillLevel::BestEffort),
        version: "1".into(),
    }
}

/// A session with a clock, the number of the next order, and what came out.
struct Rig {
    session: Session,
    now: Monotonic,
    epoch: u64,
    next: u64,
}

impl Rig {
    fn new(slots: u32) -> Self {
        let config = SessionConfig { hello: hello(slots), prefetch_max: 512, known: Known::default() };
        Self { session: Session::new(config), now: Monotonic::default(), epoch: 5, next: 1 }
    }

    /// With both streams up, and welcomed.
    fn open(slots: u32) -> Self {
        let mut rig = Self::new(slots);
        rig.connect();
        rig
    }

    fn connect(&mut self) -> Vec<Effect> {
        self.next = 1;
        self.give(Input::OutputConnected);
        let mut effects = self.give(Input::Connected);
        effects.extend(self.order([welcome("s")]));
        effects
    }

    fn give(&mut self, input: Input) -> Vec<Effect> {
        self.session.handle(self.now, input);
        self.session.drain(self.now)
    }

    fn order<const N: usize>(&mut self, orders: [Order; N]) -> Vec<Effect> {
        let sequence = self.next;
        self.next += N as u64;
        let orders = orders.to_vec();
        self.give(Input::Orders(OrderBatch { shard: 0, epoch: Epoch(self.epoch), sequence, orders }))
    }

    fn exit(&mut self, n: u64, run_us: u64) -> Vec<Effect> {
        self.exit_with(n, run_us, Totals::default())
    }

    fn exit_with(&mut self, n: u64, run_us: u64, totals: Totals) -> Vec<Effect> {
        let exit = Exit::Code(0);
        self.give(Input::Exited { attempt: attempt(n), exit, totals, result: vec![], run_us, tree_gone: true })
    }

    /// What is said when reports have waited as long as they may, which is so many milliseconds.
    fn waited(&mut self, ms: u64) -> Vec<String> {
        let due = self.session.next_tick().expect("reports wait");
        assert_eq!(due, self.now + Duration::from_millis(ms));
        self.now = due;
        said(&self.give(Input::Tick))
    }

    fn frame(&mut self, n: u64, number: u64, bytes: usize) -> Vec<Effect> {
        self.give(Input::Frame(frame(n, number, bytes)))
    }
}

fn frame(n: u64, number: u64, bytes: usize) -> Frame {
    let offset = (number - 1) * bytes as u64;
    let at = UnixMillis(0);
    let data = vec![b'x'; bytes].into();
    Frame { attempt: attempt(n), number, stream: StreamName::Stdout, offset, at, data, dropped: 0 }
}

fn reports(effects: &[Effect]) -> Vec<Report> {
    let of = |e: &Effect| match e {
        Effect::Send(ToScheduler::Update { reports, .. }) => reports.clone(),
        _ => Vec::new(),
    };
    effects.iter().flat_map(of).collect()
}

/// Number, attempt and a word for each report.
fn said(effects: &[Effect]) -> Vec<String> {
    let word = |kind: &ReportKind| match kind {
        ReportKind::Started => "started".to_owned(),
        ReportKind::Progressed(p) => format!("{}%", p.percent),
        ReportKind::Exited { exit, .. } => exit.text(),
        ReportKind::Refused(_) => "refused".to_owned(),
        ReportKind::Recalled => "recalled".to_owned(),
        ReportKind::Lost => "lost".to_owned(),
    };
    reports(effects).iter().map(|r| format!("{} {} {}", r.number, r.attempt.task.unix_ms(), word(&r.kind))).collect()
}

fn offers(effects: &[Effect]) -> Vec<(u64, u32)> {
    let of = |e: &Effect| match e {
        Effect::Send(ToScheduler::Update { offer: Some(Offer { starts, prefetch }), .. }) => Some((*starts, *prefetch)),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn starts(effects: &[Effect]) -> Vec<u64> {
    let of = |e: &Effect| match e {
        Effect::Start(s) => Some(s.attempt.task.unix_ms()),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn sent_frames(effects: &[Effect]) -> Vec<u64> {
    let of = |e: &Effect| match e {
        Effect::SendFrames(frames) => frames.iter().map(|f| f.number).collect(),
        _ => Vec::new(),
    };
    effects.iter().flat_map(of).collect()
}

fn disconnects(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::Disconnect(_)))
}

#[test]
fn the_welcome_is_answered_with_free_slots() {
    let mut rig = Rig::new(3);
    assert!(matches!(&rig.give(Input::Connected)[..], [Effect::Send(ToScheduler::Hello(h))] if h.held.is_empty()));
    assert_eq!(offers(&rig.order([welcome("s")])), [(3, 0)]);
}

#[test]
fn an_attempt_takes_a_slot_and_gives_it_back() {
    let mut rig = Rig::open(2);
    let effects = rig.order([start(1), start(2), start(3)]);
    assert_eq!(starts(&effects), [1, 2], "two slots");
    rig.give(Input::Started { attempt: attempt(1) });
    let effects = rig.exit(1, 1_000_000);
    assert_eq!(said(&effects), ["2 1 exit code 0"]);
    assert_eq!(starts(&effects), [3], "the queued one follows");
    assert_eq!(offers(&effects), [], "no slot is free");
    assert_eq!(offers(&rig.exit(2, 1_000_000)), [(4, 0)], "one is");
}

#[test]
fn many_inputs_make_one_message() {
    let mut rig = Rig::open(2);
    rig.order([start(1), start(2)]);
    for n in [1, 2] {
        rig.session.handle(rig.now, Input::Started { attempt: attempt(n) });
    }
    let effects = rig.exit(1, 1_000_000);
    assert_eq!(said(&effects), ["1 1 started", "2 2 started", "3 1 exit code 0"]);
    assert_eq!(effects.len(), 1);
}

#[test]
fn short_runs_open_the_window_and_say_so() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.exit(1, 1_000);
    rig.order([start(2)]);
    let effects = rig.exit(2, 1_000);
    assert_eq!(offers(&effects), [(53, 50)], "2 received, 1 slot, 50 ms of runs of 1 ms");
}

/// A worker whose tasks run for a millisecond each, and which has those from 3 to `last` to run.
fn of_short_runs(last: u64) -> Rig {
    let mut rig = Rig::open(1);
    for n in 1..=2 {
        rig.order([start(n)]);
        rig.exit(n, 1_000);
    }
    for n in 3..=last {
        rig.order([start(n)]);
    }
    rig
}

#[test]
fn what_is_more_urgent_is_before_what_is_held_ahead() {
    let mut rig = of_short_runs(4);
    let urgent = |n, priority| {
        let Order::Start(start) = start(n) else { panic!("a start") };
        Order::Start(Start { spec: Arc::new(Spec { priority, ..(*start.spec).clone() }), ..start })
    };
    rig.order([urgent(5, 7), urgent(6, -1), start(7), urgent(8, 7), urgent(9, 8)]);
    let mut begun = vec![3];
    loop {
        let effects = rig.exit(begun[begun.len() - 1], 1_000_000);
        let Some(Effect::Start(start)) = effects.iter().find(|e| matches!(e, Effect::Start(_))) else { break };
        begun.push(start.attempt.task.unix_ms());
    }
    assert_eq!(begun, [3, 9, 5, 8, 4, 7, 6]);
}

#[test]
fn where_runs_are_short_a_start_is_told_with_the_end() {
    let mut rig = of_short_runs(3);
    assert_eq!(rig.give(Input::Started { attempt: attempt(3) }), []);
    assert_eq!(said(&rig.exit(3, 1_000)), ["3 3 started", "4 3 exit code 0"]);
    assert_eq!(rig.session.next_tick(), None);
}

#[test]
fn a_start_that_waited_long_enough_is_told_alone() {
    let mut rig = of_short_runs(3);
    rig.give(Input::Started { attempt: attempt(3) });
    assert_eq!(rig.waited(5), ["3 3 started"]);
    assert_eq!(rig.session.next_tick(), None);
}

#[test]
fn where_runs_are_short_and_many_wait_ends_are_told_together() {
    // While one runs and ten wait there is plenty; nine are not.
    let mut rig = of_short_runs(14);
    assert_eq!(said(&rig.exit(3, 1_000)), [""; 0], "it waits, and the next one has begun");
    let effects = rig.exit(4, 1_000);
    assert_eq!(said(&effects), ["3 3 exit code 0", "4 4 exit code 0"], "too few are left");
    assert_eq!(offers(&effects).len(), 1);
    assert_eq!(rig.session.next_tick(), None);
}

#[test]
fn an_end_that_waited_long_enough_is_told() {
    let mut rig = of_short_runs(30);
    assert_eq!(said(&rig.exit(3, 1_000)), [""; 0]);
    assert_eq!(rig.waited(13), ["3 3 exit code 0"]);
    rig.give(Input::Drain);
    assert_eq!(
        said(&rig.exit(4, 1_000)),
        ["30 4 exit code 0"],
        "nothing waits when this process leaves: the queue was given back"
    );
}

#[test]
fn ends_wait_half_as_long_as_what_is_left_to_run() {
    // Runs of a millisecond: so many wait when the first one has ended, and for so many milliseconds it is not told.
    for (waiting, ms) in [(10, 5), (16, 8), (30, 15), (40, 20), (60, 20)] {
        let mut rig = of_short_runs(4 + waiting);
        assert_eq!(said(&rig.exit(3, 1_000)), [""; 0]);
        let due = rig.session.next_tick().map(|due| due.since(rig.now));
        assert_eq!(due, Some(Duration::from_millis(ms)), "{waiting}");
    }
}

#[test]
fn what_is_not_acknowledged_is_said_again_with_new_numbers() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.exit(1, 1_000_000);
    assert_eq!(rig.order([Order::Forget(1)]), [], "the start is durable, the exit is not");
    rig.give(Input::Disconnected);
    let effects = rig.connect();
    let Some(Effect::Send(ToScheduler::Hello(hello))) = effects.first() else { panic!("no hello: {effects:?}") };
    assert_eq!(hello.held[0].phase, HeldPhase::Exited);
    assert_eq!(hello.highest_epoch, Epoch(5));
    assert_eq!(said(&effects), ["1 1 exit code 0"]);
    assert_eq!(rig.order([Order::Forget(1)]), [Effect::Drop(attempt(1))]);
    assert_eq!(rig.session.held().count(), 0);
}

#[test]
fn members_of_an_array_are_attempts_of_their_own_and_keep_their_entries() {
    let mut rig = Rig::open(2);
    let member = |index: u32| {
        let Order::Start(start) = start(1) else { panic!("a start") };
        let attempt = AttemptId { task: attempt(1).task.member(index), ..attempt(1) };
        Start { attempt, entry: Some(format!("line {index}").into()), ..start }
    };
    let effects = rig.order([1, 2, 3].map(|index| Order::Start(member(index))));
    assert_eq!(effects[..2], [1, 2].map(|index| Effect::Start(member(index))));
    let mut effects = rig.give(Input::KeeperLost { attempt: member(1).attempt });
    effects.retain(|effect| matches!(effect, Effect::Start(_)));
    assert_eq!(effects, [Effect::Start(member(3))], "from the queue as it came");
}

#[test]
fn nothing_starts_twice() {
    let mut rig = Rig::open(4);
    assert_eq!(starts(&rig.order([start(1), start(1)])), [1]);
    rig.exit(1, 1_000_000);
    assert_eq!(starts(&rig.order([start(1)])), [0; 0], "ended, not acknowledged");
    rig.order([Order::Forget(1)]);
    let effects = rig.order([start(1)]);
    assert_eq!((starts(&effects), said(&effects)), (vec![], vec!["2 1 refused".to_owned()]), "gone");
}

#[test]
fn kill_and_recall_by_phase() {
    let killed = || vec!["killed".to_owned()];
    // (the order, what is said, whether an executor is told to kill), for a queued, a running, an ended, an unknown one
    let table = [
        (Order::Kill(attempt(3)), killed(), false),
        (Order::Kill(attempt(1)), vec![], true),
        (Order::Kill(attempt(2)), vec![], false),
        (Order::Kill(attempt(9)), killed(), false),
        (Order::Recall(attempt(3)), vec!["recalled".to_owned()], false),
        (Order::Recall(attempt(1)), vec![], false),
        (Order::Recall(attempt(2)), vec![], false),
        (Order::Recall(attempt(9)), vec!["recalled".to_owned()], false),
    ];
    for (order, words, kills) in table {
        let mut rig = Rig::open(2);
        rig.order([start(1), start(2)]);
        rig.session.handle(rig.now, Input::Borrowed(1));
        rig.exit(2, 1_000_000);
        rig.order([start(3)]);
        let effects = rig.order([order.clone()]);
        let told: Vec<_> = said(&effects).iter().filter_map(|s| s.split(' ').nth(2).map(str::to_owned)).collect();
        assert_eq!(told, words, "{order:?}");
        assert_eq!(effects.contains(&Effect::Kill(attempt(1))), kills, "{order:?}");
        assert_eq!(
            starts(&rig.give(Input::Borrowed(0))),
            if words.is_empty() || order_names(&order, 9) { vec![3] } else { vec![] }
        );
    }
}

fn order_names(order: &Order, n: u64) -> bool {
    matches!(order, Order::Kill(a) | Order::Recall(a) if *a == attempt(n))
}

#[test]
fn a_kill_that_comes_before_its_start_wins() {
    let mut rig = Rig::open(1);
    rig.order([Order::Kill(attempt(1))]);
    let effects = rig.order([start(1)]);
    assert_eq!((starts(&effects), said(&effects)), (vec![], vec![]));
}

#[test]
fn stale_and_misplaced_orders_are_refused() {
    let batch = |epoch, sequence, orders: Vec<Order>| OrderBatch { shard: 0, epoch: Epoch(epoch), sequence, orders };
    let table = [
        ("an older epoch", batch(4, 2, vec![start(1)])),
        ("a gap", batch(5, 3, vec![start(1)])),
        ("a repetition", batch(5, 1, vec![start(1)])),
        ("a second welcome", batch(5, 2, vec![welcome("s"), start(1)])),
        ("another shard", OrderBatch { shard: 1, ..batch(5, 2, vec![start(1)]) }),
    ];
    for (what, batch) in table {
        let mut rig = Rig::open(1);
        let effects = rig.give(Input::Orders(batch));
        assert!(disconnects(&effects), "{what}");
        assert_eq!(starts(&effects), [0; 0], "{what}");
        assert_eq!(rig.order([start(2)]), [], "{what}: the stream is over");
    }
}

#[test]
fn epochs_are_remembered_by_store() {
    let mut rig = Rig::open(1);
    rig.epoch = 9;
    let known = |epoch, store: &str| Known { store_id: Some(store.into()), epoch: Epoch(epoch) };
    assert_eq!(rig.order([Order::Forget(0)]), [Effect::Remember(known(9, "s"))]);
    rig.epoch = 1;
    rig.give(Input::Disconnected);
    rig.give(Input::Connected);
    rig.next = 1;
    let effects = rig.order([welcome("fresh")]);
    assert_eq!(effects[0], Effect::Remember(known(1, "fresh")), "another store counts anew");
    rig.give(Input::Disconnected);
    rig.give(Input::Connected);
    rig.next = 1;
    rig.epoch = 0;
    assert!(disconnects(&rig.order([welcome("fresh")])));
}

#[test]
fn nothing_starts_before_its_epoch_is_remembered() {
    let mut rig = Rig::open(1);
    rig.epoch = 6;
    let orders = vec![start(1)];
    rig.session.handle(rig.now, Input::Orders(OrderBatch { shard: 0, epoch: Epoch(6), sequence: rig.next, orders }));
    assert_eq!(rig.session.next_start(), None);
    let effects = rig.session.drain(rig.now);
    assert!(matches!(&effects[..], [Effect::Remember(_), Effect::Start(_)]), "{effects:?}");
}

#[test]
fn small_output_travels_with_the_exit_report() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.order([Order::Forget(1)]);
    assert_eq!(sent_frames(&rig.frame(1, 1, 10)), [0; 0]);
    let totals = Totals { frames: 1, stdout: 10, stderr: 0 };
    let effects = rig.exit_with(1, 1_000_000, totals);
    let all = reports(&effects);
    let [Report { kind: ReportKind::Exited { tail, .. }, .. }] = &all[..] else { panic!("{effects:?}") };
    assert_eq!(tail.0, [frame(1, 1, 10)]);
    assert_eq!(rig.order([Order::Forget(2)]), [Effect::Drop(attempt(1))]);
}

#[test]
fn output_of_a_running_attempt_is_sent_soon_and_kept_until_stored() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.order([Order::Forget(1)]);
    rig.frame(1, 1, 10);
    rig.now = rig.session.next_tick().expect("a frame waits");
    assert_eq!(sent_frames(&rig.give(Input::Tick)), [1]);
    rig.give(Input::OutputDisconnected);
    rig.give(Input::OutputConnected);
    rig.now = rig.session.next_tick().expect("it waits again");
    assert_eq!(sent_frames(&rig.give(Input::Tick)), [1], "it wasn't acknowledged");
    let totals = Totals { frames: 1, stdout: 10, stderr: 0 };
    rig.exit_with(1, 1_000_000, totals);
    assert_eq!(rig.order([Order::Forget(2)]), [], "its output isn't stored");
    let effects = rig.give(Input::FramesAcked { attempt: attempt(1), number: 1 });
    assert_eq!(effects, [Effect::Release { attempt: attempt(1), frame: 1 }, Effect::Drop(attempt(1))]);
}

#[test]
fn a_frame_travels_one_way_only() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.order([Order::Forget(1)]);
    rig.frame(1, 1, 10);
    rig.now = rig.session.next_tick().expect("a frame waits");
    rig.give(Input::Tick);
    rig.give(Input::OutputDisconnected);
    rig.frame(1, 2, 10);
    let effects = rig.exit_with(1, 1_000_000, Totals { frames: 2, stdout: 20, stderr: 0 });
    let all = reports(&effects);
    let [Report { kind: ReportKind::Exited { tail, .. }, .. }] = &all[..] else { panic!("{effects:?}") };
    assert_eq!(tail.0, [frame(1, 2, 10)], "the first may be stored already");
    assert_eq!(sent_frames(&rig.give(Input::OutputConnected)), [1]);
}

#[test]
fn output_waits_for_the_start_to_be_known() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.frame(1, 1, 100_000);
    assert_eq!(sent_frames(&rig.give(Input::Tick)), [0; 0]);
    assert_eq!(sent_frames(&rig.order([Order::Forget(1)])), [1]);
}

#[test]
fn output_in_flight_is_bounded_and_shared_out() {
    let mut rig = Rig::open(2);
    rig.order([start(1), start(2)]);
    for n in [1, 2] {
        rig.give(Input::Started { attempt: attempt(n) });
    }
    for number in 1..=40 {
        rig.session.handle(rig.now, Input::Frame(frame(1, number, 256 * 1024)));
        rig.session.handle(rig.now, Input::Frame(frame(2, number, 256 * 1024)));
    }
    let effects = rig.order([Order::Forget(2)]);
    let of = |n: u64| {
        let own = effects.iter().filter(|e| matches!(e, Effect::SendFrames(f) if f[0].attempt == attempt(n)));
        sent_frames(&own.cloned().collect::<Vec<_>>())
    };
    assert_eq!(of(1), (1..=16).collect::<Vec<_>>());
    assert_eq!(of(2), (1..=16).collect::<Vec<_>>());
    let effects = rig.give(Input::FramesAcked { attempt: attempt(1), number: 4 });
    assert_eq!(sent_frames(&effects), [17, 18, 19, 20]);
}

#[test]
fn an_adopted_attempt_is_listed_and_its_end_reported() {
    let mut rig = Rig::new(2);
    let kept = HeldAttempt { attempt: attempt(1), phase: HeldPhase::Running, totals: Totals::default() };
    rig.give(Input::Kept(vec![kept]));
    rig.frame(1, 7, 10);
    let totals = Totals { frames: 7, stdout: 70, stderr: 0 };
    rig.exit_with(1, 1_000_000, totals);
    let effects = rig.connect();
    assert_eq!(said(&effects), ["1 1 started", "2 1 exit code 0"]);
    let [_, Report { kind: ReportKind::Exited { tail, .. }, .. }] = &reports(&effects)[..] else { panic!() };
    assert_eq!(tail.streamed(totals), 6);
}

#[test]
fn an_adopted_attempts_output_is_counted_from_what_was_released() {
    let mut rig = Rig::new(2);
    let released = Totals { frames: 6, stdout: 60, stderr: 5 };
    rig.give(Input::Kept(vec![HeldAttempt { attempt: attempt(1), phase: HeldPhase::Running, totals: released }]));
    assert_eq!(rig.session.held().next().map(|held| held.totals), Some(released));
    rig.frame(1, 6, 10);
    assert_eq!(rig.session.held().next().map(|held| held.totals), Some(released), "it was released");
    rig.frame(1, 7, 10);
    let totals = Totals { frames: 7, stdout: 70, stderr: 5 };
    assert_eq!(rig.session.held().next().map(|held| held.totals), Some(totals));
}

#[test]
fn on_contact_what_is_overdue_is_ended_before_anything_is_taken() {
    let mut rig = Rig::open(4);
    rig.order([start(1), start(2)]);
    rig.give(Input::Disconnected);
    rig.next = 1;
    rig.give(Input::OutputConnected);
    rig.give(Input::Connected);
    let effects = rig.order([welcome("s"), Order::Kill(attempt(1)), Order::Kill(attempt(9))]);
    assert!(effects.contains(&Effect::Kill(attempt(1))), "{effects:?}");
    assert_eq!(offers(&effects), [], "its tree lives");
    assert_eq!(said(&effects), ["1 9 killed"], "one that is not here is over at once");
    rig.now = rig.now + HEARTBEAT;
    assert_eq!(offers(&rig.give(Input::Tick)), [], "nor later");
    assert_eq!(offers(&rig.exit(1, 1_000_000)), [(3, 0)], "it is gone");
    let effects = rig.order([Order::Kill(attempt(2)), start(3)]);
    assert_eq!(starts(&effects), [3], "a kill in contact holds up nothing");
}

#[test]
fn what_a_lost_keeper_left_is_sent_and_the_attempt_is_held_until_it_is_stored() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    rig.give(Input::Started { attempt: attempt(1) });
    rig.order([Order::Forget(1)]);
    rig.frame(1, 1, 10);
    let effects = rig.give(Input::KeeperLost { attempt: attempt(1) });
    assert_eq!((said(&effects), sent_frames(&effects)), (vec!["2 1 lost".to_owned()], vec![1]));
    assert_eq!(rig.order([Order::Forget(2)]), [], "its output isn't stored");
    let effects = rig.give(Input::FramesAcked { attempt: attempt(1), number: 1 });
    assert_eq!(effects.last(), Some(&Effect::Drop(attempt(1))));
}

#[test]
fn progress_is_thinned_by_its_acknowledgements_and_the_last_one_counts() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    let progress = |rig: &mut Rig, percent| {
        let progress = Progress { percent, message: String::new() };
        said(&rig.give(Input::Progressed { attempt: attempt(1), progress }))
    };
    assert_eq!(progress(&mut rig, 1), ["1 1 1%"]);
    assert_eq!(progress(&mut rig, 2), [""; 0]);
    assert_eq!(progress(&mut rig, 3), [""; 0]);
    assert_eq!(said(&rig.order([Order::Forget(1)])), ["2 1 3%"]);
    assert_eq!(progress(&mut rig, 4), [""; 0]);
    assert_eq!(said(&rig.exit(1, 1_000_000)), ["3 1 4%", "4 1 exit code 0"]);
}

#[test]
fn progress_goes_on_while_acknowledgements_are_held_up() {
    let mut rig = Rig::open(1);
    rig.order([start(1)]);
    for (percent, words) in [(1, vec!["1 1 1%"]), (2, vec![]), (3, vec![])] {
        let progress = Progress { percent, message: String::new() };
        assert_eq!(said(&rig.give(Input::Progressed { attempt: attempt(1), progress })), words);
    }
    rig.now = rig.now + Duration::from_secs(1);
    assert_eq!(said(&rig.give(Input::Tick)), ["2 1 3%"]);
}

#[test]
fn a_lost_keeper_ends_what_it_held() {
    let mut rig = Rig::open(1);
    rig.order([start(1), start(2)]);
    let effects = rig.give(Input::KeeperLost { attempt: attempt(1) });
    assert_eq!(said(&effects), ["1 1 lost"]);
    assert_eq!(starts(&effects), [2]);
}

#[test]
fn an_engine_that_comes_or_goes_is_said_in_a_session_of_its_own() {
    let mut rig = Rig::open(2);
    rig.order([start(1)]);
    assert!(rig.give(Input::Docker(false)).is_empty(), "nothing new");
    let effects = rig.give(Input::Docker(true));
    assert!(disconnects(&effects), "{effects:?}");
    let effects = rig.give(Input::Connected);
    let hellos = effects.iter().filter_map(|effect| match effect {
        Effect::Send(ToScheduler::Hello(hello)) => Some((hello.docker, hello.held.len())),
        _ => None,
    });
    assert_eq!(hellos.collect::<Vec<_>>(), [(true, 1)], "what runs is kept");
    // Without a session there is nothing to break.
    let mut away = Rig::new(1);
    assert!(away.give(Input::Docker(true)).is_empty());
}

#[test]
fn leaving_gives_back_what_has_not_started() {
    let mut rig = Rig::open(1);
    rig.order([start(1), start(2)]);
    let effects = rig.give(Input::Drain);
    assert_eq!((said(&effects), offers(&effects)), (vec!["1 2 recalled".to_owned()], vec![]));
    assert_eq!(said(&rig.order([start(3)])), ["2 3 recalled"]);
    assert_eq!(rig.give(Input::Interrupt), [Effect::Kill(attempt(1))]);
}

#[test]
fn silence_and_heartbeats() {
    let mut rig = Rig::open(1);
    rig.now = rig.now + HEARTBEAT;
    assert_eq!(rig.give(Input::Tick), [Effect::Send(ToScheduler::Update { reports: vec![], offer: None })]);
    assert_eq!(rig.order([]), [], "an empty batch is a sign of life");
    rig.now = rig.now + (SILENCE - Duration::from_millis(1));
    assert!(!disconnects(&rig.give(Input::Tick)));
    rig.now = rig.now + Duration::from_millis(1);
    assert!(disconnects(&rig.give(Input::Tick)));
}

#[test]
fn nothing_is_offered_while_too_many_ends_are_not_acknowledged() {
    let mut rig = Rig::open(1);
    let mut granted = 1;
    for n in 1..=20_000 {
        if n > granted {
            assert!(n > 8_000, "granted {granted}");
            assert!(!offers(&rig.order([Order::Forget(20_000)])).is_empty());
            return;
        }
        granted = offers(&rig.order([start(n)])).last().map_or(granted, |o| o.0);
        granted = offers(&rig.exit(n, 100)).last().map_or(granted, |o| o.0);
    }
    panic!("never stopped");
}
