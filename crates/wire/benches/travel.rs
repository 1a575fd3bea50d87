//! What messages cost: `cargo bench -p wire -- [TASKS]`. Each task goes through all the messages of its life as bytes and back:
//! checked by the command line, submitted through the gateway, accepted, ordered from a worker, reported, told as a story.
//! Prints tasks a second. scripts/instructions.sh counts the instructions of `travel`.

use domain::{
    AttemptId, AttemptNo, Epoch, Event, EventKind, Exit, Final, Order, OrderBatch, Report, ReportKind, Result, Stamp,
    Start, Tail, TaskId, Totals, UnixMillis,
};
use prost::{Message, bytes::Bytes};
use std::{error::Error, sync::Arc, time::Instant};
use wire::{v1, worker};

/// Tasks of one message.
const BATCH: u64 = 1_000;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let tasks = args.next().map_or(Ok(200_000), |n| n.parse::<u64>())?;
    let begin = Instant::now();
    for first in (0..tasks).step_by(BATCH as usize) {
        travel(first, tasks.min(first + BATCH))?;
    }
    println!("{tasks} tasks: {:.0}/s", tasks as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

#[inline(never)]
fn travel(first: u64, end: u64) -> std::result::Result<(), Box<dyn Error>> {
    // Command line to gateway.
    let specs: Vec<Bytes> = (first..end).map(spec).collect::<Result<_>>()?;
    let request = there_and_back(&v1::SubmitTasksRequest { tasks: specs })?;
    // Gateway to scheduler.
    let tasks = (first..).zip(request.tasks).map(|(n, spec)| v1::SubmitEntry {
        task_id: id(n).to_string(),
        spec: Some(spec),
        caller: String::new(),
    });
    let request = v1::SubmitRequest { tasks: tasks.collect(), ..Default::default() };
    let read = there_and_back(&request)?.tasks.into_iter().map(wire::submit_entry).collect::<Result<Vec<_>>>()?;
    // And back.
    let accepted = read.iter().map(|(id, ..)| v1::TaskAccepted { task_id: id.to_string(), ..Default::default() });
    let answer = there_and_back(&v1::SubmitResponse::from(accepted.collect::<Vec<_>>()))?;
    there_and_back(&v1::SubmitTasksResponse { tasks: answer.tasks })?.accepted()?;
    // Scheduler to worker, and back.
    let attempt = |n| AttemptId { task: id(n), no: AttemptNo::FIRST };
    let orders = (first..).zip(read).map(|(n, (_, spec, _))| {
        Order::Start(Start { attempt: attempt(n), spec: Arc::new(spec), class: 1, entry: None })
    });
    let batch = OrderBatch { shard: 0, epoch: Epoch(1), sequence: first + 1, orders: orders.collect() };
    worker::order_batch(there_and_back(&worker::v1_assignment(batch))?)?;
    let reports = (first..end).flat_map(|n| {
        let (totals, tail, result) = (Totals::default(), Tail::default(), Vec::new());
        let exit = ReportKind::Exited { exit: Exit::Code(0), totals, tail, result, run_us: 1_000, tree_gone: true };
        let kinds = [(2 * n + 1, ReportKind::Started), (2 * n + 2, exit)];
        kinds.map(|(number, kind)| Report { number, attempt: attempt(n), kind })
    });
    worker::update(there_and_back(&worker::v1_update(reports.collect(), None, UnixMillis(0)))?)?;
    // The story's end.
    for n in first..end {
        let stamp = Stamp { event: 4, at: UnixMillis(0) };
        let event = Event { task: id(n), stamp, attempt: 1, kind: EventKind::Finished(Final::Completed, 0) };
        there_and_back(&v1::RunTaskResponse::event(wire::state_event(&event, 4)))?.into_event()?;
    }
    Ok(())
}

/// As the command line makes and checks it.
fn spec(n: u64) -> Result<Bytes> {
    let shell = v1::ShellRun { command: format!("convert {n}.png {n}.jpg"), ..Default::default() };
    let run = Some(v1::task_spec::Run::Shell(shell));
    let spec = v1::TaskSpec { name: format!("convert {n}"), queue: "images".into(), run, ..Default::default() };
    let packed = wire::pack(&spec);
    wire::check_spec(spec).map(|()| packed)
}

fn there_and_back<M: Message + Default>(message: &M) -> std::result::Result<M, prost::DecodeError> {
    M::decode(Bytes::from(message.encode_to_vec()))
}

fn id(n: u64) -> TaskId {
    TaskId::from_parts(1_700_000_000_000 + n / 1_000, 0, (n % 1_000) as u16, n)
}
