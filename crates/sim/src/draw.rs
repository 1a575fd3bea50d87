//! Drawing tasks: what clients submit.

use crate::{client::QUEUES, rng::Rng, world::World};
use domain::{
    ArraySpec, IdempotencyKey, OnLost, Range, Ranges, RetryPolicy, Run, ShellRun, Spec, State, Task, TaskId, UnixMillis,
};
use engine::{NewTask, RetryOf};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Store as _;

/// A task: some are arrays, some are delayed, some never end by themselves.
pub(crate) fn task(world: &mut World, dice: &mut Rng) -> NewTask {
    let id = next_id(world, dice);
    let array = dice.percent(25).then(|| array(dice));
    let on_lost = *dice.one(&[OnLost::Retry, OnLost::Retry, OnLost::Retry, OnLost::Fail, OnLost::Wait]);
    let endless = array.is_none() && dice.percent(if on_lost == OnLost::Wait { 40 } else { 10 });
    let timeout = (!endless || dice.percent(50)).then_some(Duration::from_secs(20));
    let members = array.as_ref().map_or(0, |array| array.ranges.len());
    let entries = match &array {
        Some(ArraySpec { entries: true, .. }) => (0..members).map(|n| format!("entry {n}").into()).collect(),
        Some(_) | None => Vec::new(),
    };
    let key = dice.percent(30).then(|| {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&world.client.ids.to_be_bytes());
        IdempotencyKey { key, body: [1; 16] }
    });
    let command = match (endless, dice.percent(20)) {
        (true, _) => "endless",
        (false, true) => "stubborn",
        (false, false) => "work",
    };
    let spec = Spec {
        name: "t".into(),
        description: String::new(),
        run: Run::Shell(ShellRun { command: command.into(), ..ShellRun::default() }),
        timeout,
        retry: RetryPolicy { max_retries: u32::try_from(dice.below(3)).unwrap_or(0) },
        on_lost,
        key,
        worker: None,
        labels: BTreeMap::new(),
        priority: i32::try_from(dice.below(2)).unwrap_or(0),
        queue: QUEUES[usize::from(dice.percent(30))].into(),
        run_at: delay(world, dice),
        array,
        start_within: None,
        trace: None,
        trace_state: String::new(),
    };
    let patient = spec.array.is_none() && dice.percent(20);
    let spec = Spec { start_within: patient.then(|| patience(dice)), ..spec };
    world.report.members += members;
    let task = NewTask { id, spec: Arc::new(spec), entries, retry: None };
    if task.spec.key.is_some() {
        world.client.keyed.push(task.clone());
    }
    task
}

/// How long a task may wait for its first start.
fn patience(dice: &mut Rng) -> Duration {
    Duration::from_secs(5 + dice.below(26))
}

/// Whether somebody has to end it.
pub(crate) fn is_endless(spec: &Spec) -> bool {
    spec.timeout.is_none() && matches!(&spec.run, Run::Shell(shell) if shell.command == "endless")
}

/// By the wall clock of whoever will read it – unless those differ by days: then it would not begin in this world.
fn delay(world: &World, dice: &mut Rng) -> Option<UnixMillis> {
    let delay = i64::try_from(dice.below(30_000)).unwrap_or(0);
    let wall = world.time_of(world.house.reigning()?).wall.0;
    (dice.percent(15) && !world.mix.skewed_clocks).then_some(UnixMillis(wall + delay))
}

/// A few members, in one piece or scattered.
fn array(dice: &mut Rng) -> ArraySpec {
    let mut parts = Vec::new();
    let mut first = 0;
    for _ in 0..=dice.below(2) {
        first += u32::try_from(dice.below(3)).unwrap_or(0);
        let last = first + u32::try_from(dice.below(5)).unwrap_or(0);
        parts.push(Range { first, last });
        first = last + 2;
    }
    let Ok(ranges) = Ranges::new(parts) else { unreachable!("they are disjoint") };
    ArraySpec { ranges, entries: dice.percent(30) }
}

/// The same under the same key, but with an id of its own; sometimes it isn't the same.
pub(crate) fn keyed(world: &mut World, dice: &mut Rng, task: &NewTask) -> NewTask {
    let mut spec = Spec::clone(&task.spec);
    if dice.percent(25)
        && let Some(key) = &mut spec.key
    {
        key.body = [2; 16];
    }
    let again = NewTask { id: next_id(world, dice), spec: Arc::new(spec), ..task.clone() };
    world.client.keyed.push(again.clone());
    again
}

/// The same again, if it has ended: of an array those members that failed.
pub(crate) fn again(world: &mut World, dice: &mut Rng, task: &Task) -> Option<NewTask> {
    let State::Final(_) = task.state else { return None };
    let mut spec = Spec { key: None, run_at: None, ..Spec::clone(&task.spec) };
    let mut ready_seq = task.ready_seq;
    let mut entries = Vec::new();
    if task.array.is_some() {
        let reader = world.disk.store.reader();
        let failed = reader.failed_members(task.id).ok()?;
        let ranks: Vec<u64> = failed.iter().filter_map(|index| task.rank(task.id.member(*index))).collect();
        let parts = failed.iter().map(|index| Range { first: *index, last: *index }).collect();
        entries = reader.entries(task.id, &ranks).ok()?;
        spec.array = Some(ArraySpec { ranges: Ranges::new(parts).ok()?, entries: !entries.is_empty() });
        ready_seq = reader.task(task.id.member(*failed.first()?)).ok()??.ready_seq;
    }
    let id = next_id(world, dice);
    Some(NewTask { id, spec: Arc::new(spec), entries, retry: Some(RetryOf { task: task.id, ready_seq }) })
}

/// As a gateway would draw it: never the same twice.
fn next_id(world: &mut World, dice: &mut Rng) -> TaskId {
    world.client.ids += 1;
    let n = world.client.ids;
    TaskId::from_parts(1_700_000_000_000 + n, 0, u16::try_from(n & 0x7fff).unwrap_or(0), dice.bits())
}
