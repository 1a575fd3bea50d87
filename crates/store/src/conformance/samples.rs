//! Tasks in every state, with every field filled.

use domain::*;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Id of the `n`-th task; ids grow with `n`.
pub fn id(n: u64) -> TaskId {
    TaskId::from_parts(0x0199_a0b2_6d1c + n / 3, 0, (n % 3) as u16, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn stamp(event: u64) -> Stamp {
    Stamp { event, at: UnixMillis(1_700_000_000_000 + event as i64) }
}

/// A queued task of `n`-th place.
pub fn queued(n: u64) -> Task {
    Task {
        id: id(n),
        spec: Arc::new(Spec {
            name: format!("name-{}", n % 2),
            description: "what for".into(),
            run: Run::Handler(HandlerRun { payload: vec![0, 255, n as u8] }),
            timeout: Some(Duration::from_micros(1_500)),
            retry: RetryPolicy { max_retries: 3 },
            on_lost: domain::OnLost::Wait,
            key: None,
            worker: None,
            labels: BTreeMap::from([("gpu".into(), "a100".into())]),
            priority: -10,
            queue: "default".into(),
            run_at: None,
            start_within: None,
            array: None,
            trace: None,
            trace_state: String::new(),
        }),
        ready_seq: n + 1,
        accepted: stamp(1),
        state: State::Pending(Wait::Queued),
        ended: Vec::new(),
        backed_off: Vec::new(),
        cancel: None,
        finished: None,
        events: 1,
        progress: Progress::default(),
        result: Vec::new(),
        updated: UnixMillis(1_700_000_000_001),
        array: None,
        entry: None,
        retry_of: None,
    }
}

/// An array of `n`-th place with these members, none of which has had its turn.
pub fn array(n: u64, ranges: &str) -> Task {
    let mut array = with_spec(queued(n), |spec| {
        spec.array = Some(ArraySpec { ranges: Ranges::parse(ranges).unwrap(), entries: false });
    });
    array.array = Some(Members::new(array.spec.array.as_ref().unwrap().ranges.len(), StateWord::Queued));
    array
}

/// The same with another spec.
pub fn with_spec(mut task: Task, change: impl FnOnce(&mut Spec)) -> Task {
    change(Arc::make_mut(&mut task.spec));
    task
}

/// The same of one class with all others alike: a handler's name is part of its class.
pub fn alike(task: Task) -> Task {
    with_spec(task, |spec| spec.name = "noop".into())
}

pub fn attempt(no: u32, ended: Option<Ending>) -> Attempt {
    let first = u64::from(no) * 3;
    Attempt {
        no: AttemptNo(no),
        worker: WorkerId::new("w1"),
        incarnation: Incarnation("dir@boot".into()),
        dispatched: stamp(first),
        started: (no % 2 == 1).then(|| stamp(first + 1)),
        ended: ended.map(|ending| (stamp(first + 2), ending)),
        totals: Totals { frames: 3, stdout: 70_000, stderr: 5 },
    }
}

/// The same task in a later state, with a history.
pub fn in_state(mut task: Task, state: State) -> Task {
    task.ended = vec![attempt(1, Some(Ending::Lost)), attempt(2, Some(Ending::Exited(Exit::Code(-3))))];
    task.backed_off = vec![None, Some(UnixMillis(0))];
    task.events = 20;
    task.cancel = Some(stamp(18));
    task.progress = Progress { percent: 42, message: "half".into() };
    task.updated = UnixMillis(1_700_000_000_020);
    if state.is_final() {
        task.finished = Some(stamp(20));
        task.result = b"bytes\0".to_vec();
    }
    task.state = state;
    task
}

/// A time to wait for.
pub fn due(at_ms: i64) -> Due {
    Due { at: UnixMillis(at_ms), length: Duration::from_millis(4_321) }
}

/// Every state there is, but for those of arrays.
pub fn states() -> Vec<State> {
    let due = due(1_700_000_005_000);
    vec![
        State::Pending(Wait::Queued),
        State::Pending(Wait::BackingOff(due)),
        State::Pending(Wait::Delayed(due)),
        State::Dispatched(attempt(3, None)),
        State::Running(attempt(3, None)),
        State::Cancelling(attempt(3, None)),
        State::Final(Final::Completed),
        State::Final(Final::Failed("exit code 3".into())),
        State::Final(Final::TimedOut("timed out after 1s".into())),
        State::Final(Final::Cancelled { unconfirmed: None }),
        State::Final(Final::Cancelled { unconfirmed: Some(WorkerId::new("w2")) }),
    ]
}

/// Every way an attempt ends.
pub fn endings() -> Vec<Ending> {
    let exits = [
        Exit::Code(-1),
        Exit::Signal(9),
        Exit::TimedOut(Duration::from_secs(300)),
        Exit::NotStarted("no such file".into()),
        Exit::Killed,
        Exit::HandlerError("bad input".into()),
    ];
    let others = [Ending::Lost, Ending::Refused("no room".into()), Ending::Recalled, Ending::Abandoned];
    exits.into_iter().map(Ending::Exited).chain(others).collect()
}

pub fn frame(task: TaskId, no: u32, number: u64) -> Frame {
    Frame {
        attempt: AttemptId { task, no: AttemptNo(no) },
        number,
        stream: if number.is_multiple_of(2) { StreamName::Stderr } else { StreamName::Stdout },
        offset: number * 10,
        at: UnixMillis(5),
        data: if number == 2 { Vec::new() } else { vec![0, 255, number as u8] }.into(),
        dropped: if number == 2 { 77 } else { 0 },
    }
}
