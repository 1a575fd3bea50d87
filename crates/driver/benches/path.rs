//! What deciding costs, without any I/O: `cargo bench -p driver -- [submit|life] [TASKS]`.
//!
//! `submit`: tasks that nobody runs are accepted. `life`: a worker with room for 512 takes, starts and ends each. Prints
//! nanoseconds a task; under callgrind, count instructions instead, which don't depend on what else the machine does:
//! `valgrind --tool=callgrind --toggle-collect='path::run*' …`.

use domain::*;
use driver::{Driver, Step};
use engine::{Caller, Config, Effect, Input, NewTask, SessionId, WINDOW};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks in one call.
const CALL: usize = 1_000;
/// Tasks that may be with the worker.
const OFFER: u64 = 512;
const SESSION: SessionId = SessionId(1);

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mode = args.next().unwrap_or_else(|| "life".into());
    let tasks = args.next().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let ready = calls(tasks);
    let began = Instant::now();
    let done = run(ready, mode == "life");
    println!(
        "{mode}: {tasks} tasks, {} writes, {:.0} ns a task",
        done,
        began.elapsed().as_nanos() as f64 / tasks as f64
    );
}

fn calls(tasks: usize) -> Vec<Vec<NewTask>> {
    let spec = |n: usize| Spec {
        name: "noop".into(),
        description: String::new(),
        run: Run::Handler(HandlerRun { payload: n.to_string().into_bytes() }),
        timeout: None,
        retry: RetryPolicy { max_retries: 3 },
        on_lost: OnLost::Retry,
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
    let id = |n: usize| TaskId::from_parts(1_000 + (n >> 14) as u64, 0, (n & 0x3fff) as u16, n as u64);
    let new = |n| NewTask { id: id(n), spec: Arc::new(spec(n)), entries: Vec::new(), retry: None };
    (0..tasks.div_ceil(CALL)).map(|call| (call * CALL..(call + 1) * CALL).map(new).collect()).collect()
}

fn now() -> Now {
    Now::default()
}

#[inline(never)]
fn run(calls: Vec<Vec<NewTask>>, life: bool) -> usize {
    let second = Duration::from_secs(1);
    let store_id = "here".into();
    let config = Config { lost_after: second * 60, silence: second * 15, store_id, epoch: Epoch(1), window: WINDOW };
    let mut driver = Driver::new(now(), config, Loaded::default());
    if life {
        driver.push(Input::Hello { session: SESSION, hello: Box::new(hello()) });
        turn(&mut driver);
        let offer = Some(Offer { starts: OFFER, prefetch: 0 });
        driver.push(Input::Update { session: SESSION, reports: Vec::new(), offer });
        turn(&mut driver);
    }
    let (mut writes, mut number, mut starts) = (0, 0, OFFER);
    for tasks in calls {
        driver.push(Input::Submit { caller: Caller(1), tasks, repeated: false, brief: true });
        let mut turned = turn(&mut driver);
        writes += turned.writes;
        while !turned.given.is_empty() {
            starts += turned.given.len() as u64;
            let reports = turned.given.into_iter().flat_map(|attempt| {
                number += 2;
                ends(number, attempt)
            });
            let (reports, offer) = (reports.collect(), Some(Offer { starts, prefetch: 0 }));
            driver.push(Input::Update { session: SESSION, reports, offer });
            turned = turn(&mut driver);
            writes += turned.writes;
        }
    }
    writes
}

struct Turned {
    writes: usize,
    given: Vec<AttemptId>,
}

/// Lets everything be committed, and its effects happen.
fn turn(driver: &mut Driver) -> Turned {
    let mut turned = Turned { writes: 0, given: Vec::new() };
    while let Some(step) = driver.poll(now()) {
        match step {
            Step::Commit(batch) => {
                turned.writes += batch.writes.len();
                for effect in driver.committed() {
                    if let Effect::Order(_, Order::Start(start)) = effect {
                        turned.given.push(start.attempt);
                    }
                }
            }
            // Nothing waits in the store but what nobody can run.
            Step::Ahead(Want::Classes { .. }) => {
                driver.ahead(now(), Ahead::Classes { classes: Vec::new(), next: None })
            }
            Step::Ahead(_) | Step::Ask(_) => {}
        }
    }
    turned
}

fn ends(number: u64, attempt: AttemptId) -> [Report; 2] {
    let (exit, totals, tail, result) = (Exit::Code(0), Totals::default(), Tail::default(), Vec::new());
    let ended = ReportKind::Exited { exit, totals, tail, result, run_us: 10, tree_gone: true };
    [Report { number: number - 1, attempt, kind: ReportKind::Started }, Report { number, attempt, kind: ended }]
}

fn hello() -> Hello {
    Hello {
        worker: WorkerId::new("w"),
        incarnation: Incarnation("i".into()),
        labels: BTreeMap::new(),
        shell: true,
        docker: false,
        handlers: BTreeSet::from(["noop".to_owned()]),
        demo: false,
        opened: 1,
        highest_epoch: Epoch(0),
        held: Vec::new(),
        slots: 4,
        address: String::new(),
        kill_level: None,
        version: String::new(),
    }
}
