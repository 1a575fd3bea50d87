//! Tasks as they are in ordinary life.

use domain::{
    Attempt, AttemptNo, HandlerRun, Incarnation, Progress, RetryPolicy, Run, Spec, Stamp, State, Task, TaskId, Totals,
    UnixMillis, Wait, WorkerId,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub fn queued(n: u64) -> Task {
    let accepted = Stamp { event: 1, at: UnixMillis(1_700_000_000_000) };
    Task {
        id: TaskId::from_parts(1_700_000_000_000 + n / 1_000, 0, (n % 1_000) as u16, n),
        spec: Arc::new(Spec {
            name: "noop".into(),
            description: String::new(),
            run: Run::Handler(HandlerRun::default()),
            timeout: Some(Duration::from_secs(300)),
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
        }),
        ready_seq: n + 1,
        accepted,
        state: State::Pending(Wait::Queued),
        ended: Vec::new(),
        backed_off: Vec::new(),
        cancel: None,
        finished: None,
        events: 1,
        progress: Progress::default(),
        result: Vec::new(),
        updated: accepted.at,
        array: None,
        entry: None,
        retry_of: None,
    }
}

pub fn attempt() -> Attempt {
    let at = UnixMillis(1_700_000_000_500);
    Attempt {
        no: AttemptNo::FIRST,
        worker: WorkerId::new("worker-1"),
        incarnation: Incarnation("0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88@0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88".into()),
        dispatched: Stamp { event: 2, at },
        started: Some(Stamp { event: 3, at }),
        ended: None,
        totals: Totals::default(),
    }
}

pub fn with(task: &Task, state: State) -> Task {
    let mut task = task.clone();
    if state.is_final() {
        task.ended = vec![attempt()];
        task.finished = Some(Stamp { event: 4, at: UnixMillis(1_700_000_000_900) });
    }
    task.state = state;
    task
}
