//! Drawing tasks: what clients submit.

use crate::{client::QUEUES, world::World};
use domain::{
    ArraySpec, IdempotencyKey, Range, Ranges, RetryPolicy, Run, ShellRun, Spec, State, Task, TaskId, UnixMillis,
};
use engine::{NewTask, RetryOf};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Store as _;

/// A task: some are arrays, some are delayed, some never end by themselves.
pub(crate) fn task(world: &mut World) -> NewTask {
    let id = next_id(world);
    let array = world.rng.percent(25).then(|| array(world));
    let endless = array.is_none() && world.rng.percent(10);
    let timeout = (!endless || world.rng.percent(50)).then_some(Duration::from_secs(20));
    if endless && timeout.is_none() {
        world.client.endless.insert(id);
    }
    let members = array.as_ref().map_or(0, |array| array.ranges.len());
    let entries = match &array {
        Some(ArraySpec { entries: true, .. }) => (0..members).map(|n| format!("entry {n}").into()).collect(),
        Some(_) | None => Vec::new(),
    };
    let key = world.rng.percent(30).then(|| {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&world.client.calls.to_be_bytes());
        IdempotencyKey { key, body: [1; 16] }
    });
    let command = if endless { "endless" } else { "work" };
    let delay = i64::try_from(world.rng.below(30_000)).unwrap_or(0);
    let wall = world.clocks().wall.0;
    let run_at = world.rng.percent(15).then_some(UnixMillis(wall + delay));
    let spec = Spec {
        name: "t".into(),
        description: String::new(),
        run: Run::Shell(ShellRun { command: command.into(), ..ShellRun::default() }),
        timeout,
        retry: RetryPolicy { max_retries: u32::try_from(world.rng.below(3)).unwrap_or(0) },
        on_lost: domain::OnLost::Retry,
        key,
        worker: None,
        labels: BTreeMap::new(),
        priority: i32::try_from(world.rng.below(2)).unwrap_or(0),
        queue: QUEUES[usize::from(world.rng.percent(30))].into(),
        run_at,
        array,
    };
    world.report.members += members;
    NewTask { id, spec: Arc::new(spec), entries, retry: None }
}

/// A few members, in one piece or scattered.
fn array(world: &mut World) -> ArraySpec {
    let mut parts = Vec::new();
    let mut first = 0;
    for _ in 0..=world.rng.below(2) {
        first += u32::try_from(world.rng.below(3)).unwrap_or(0);
        let last = first + u32::try_from(world.rng.below(5)).unwrap_or(0);
        parts.push(Range { first, last });
        first = last + 2;
    }
    let Ok(ranges) = Ranges::new(parts) else { unreachable!("they are disjoint") };
    ArraySpec { ranges, entries: world.rng.percent(30) }
}

/// The same again, if it has ended: of an array those members that failed.
pub(crate) fn again(world: &mut World, task: &Task) -> Option<NewTask> {
    let State::Final(_) = task.state else { return None };
    let mut spec = Spec { key: None, run_at: None, ..Spec::clone(&task.spec) };
    let mut ready_seq = task.ready_seq;
    let mut entries = Vec::new();
    if task.array.is_some() {
        let reader = world.scheduler.disk.reader();
        let failed = reader.failed_members(task.id).ok()?;
        let ranks: Vec<u64> = failed.iter().filter_map(|index| task.rank(task.id.member(*index))).collect();
        let parts = failed.iter().map(|index| Range { first: *index, last: *index }).collect();
        entries = reader.entries(task.id, &ranks).ok()?;
        spec.array = Some(ArraySpec { ranges: Ranges::new(parts).ok()?, entries: !entries.is_empty() });
        ready_seq = reader.task(task.id.member(*failed.first()?)).ok()??.ready_seq;
    }
    let id = next_id(world);
    if spec.timeout.is_none() && matches!(&spec.run, Run::Shell(shell) if shell.command == "endless") {
        world.client.endless.insert(id);
    }
    Some(NewTask { id, spec: Arc::new(spec), entries, retry: Some(RetryOf { task: task.id, ready_seq }) })
}

fn next_id(world: &mut World) -> TaskId {
    world.client.calls += 1;
    let n = world.client.calls;
    world.draw_id(n)
}
