//! Faults: what goes wrong at a cue.

use crate::{
    act::Act,
    net::{Break, End},
    rare::Rare,
    rng::Rng,
    scheduler::LOST_AFTER,
    world::{Happening, World},
};
use domain::{AttemptId, Monotonic, Order, OrderBatch, SHARD, TaskId};
use std::time::Duration;

impl World {
    /// Something goes wrong.
    pub(crate) fn strike(&mut self, act: Act, mut dice: Rng) {
        self.report.faults += 1;
        let worker = usize::try_from(dice.below(self.workers.len() as u64)).unwrap_or(0);
        match act {
            Act::KillScheduler => {
                if let Some(number) = self.some_scheduler(&mut dice) {
                    self.crash_scheduler(number);
                }
            }
            Act::FreezeScheduler => {
                let until = self.now + standstill(&mut dice);
                let number = self.some_scheduler(&mut dice);
                if let Some(process) = number.and_then(|n| self.house.processes.get_mut(&n)) {
                    freeze(&mut process.frozen, self.now, until);
                }
                // Its operator takes it for dead and starts another.
                if number.is_some() && dice.percent(40) {
                    self.start_scheduler(true);
                }
            }
            Act::SecondScheduler => {
                if self.house.processes.len() < 3 {
                    self.start_scheduler(true);
                }
            }
            Act::KillWorker => {
                let back = dice.ms(1, 90_000);
                self.crash_worker(worker, true, back);
            }
            Act::FreezeWorker => {
                let length = standstill(&mut dice);
                self.freeze_worker(worker, length, false);
            }
            Act::FreezeMachine => {
                let length = standstill(&mut dice);
                self.freeze_worker(worker, length, true);
            }
            Act::KillKeeper => self.crash_keeper(worker, &mut dice),
            Act::FreezeKeeper => {
                // Sometimes for so long that only the scheduler's backstop helps.
                let length = if dice.percent(30) { dice.ms(150_000, 300_000) } else { standstill(&mut dice) };
                let until = self.now + length;
                freeze(&mut self.workers[worker].keeper.frozen, self.now, until);
            }
            Act::Reboot => self.reboot(worker, &mut dice),
            Act::CommitUnknown => {
                let applied = dice.percent(50);
                self.disk.fail_commit(true, applied);
            }
            Act::CommitRefused => self.disk.fail_commit(false, false),
            Act::ReadFails => self.disk.fail_read(),
            Act::Reset => self.cut(worker, Break::Reset, &mut dice),
            Act::CleanCut => self.cut(worker, Break::Clean, &mut dice),
            Act::HalfOpenAtWorker => self.cut(worker, Break::HalfOpen(End::Worker), &mut dice),
            Act::HalfOpenAtScheduler => self.cut(worker, Break::HalfOpen(End::Scheduler), &mut dice),
            Act::OneWayUp => self.cut(worker, Break::OneWay(End::Scheduler), &mut dice),
            Act::OneWayDown => self.cut(worker, Break::OneWay(End::Worker), &mut dice),
            Act::StrayOrder => self.stray(worker, &mut dice),
            Act::Submit | Act::Cancel | Act::CancelMany | Act::Retry | Act::SameKey => {}
            Act::Pause | Act::Drain | Act::Forget => {}
        }
    }

    fn some_scheduler(&self, dice: &mut Rng) -> Option<u64> {
        let all: Vec<u64> = self.house.processes.keys().copied().collect();
        (!all.is_empty()).then(|| *dice.one(&all))
    }

    fn freeze_worker(&mut self, worker: usize, length: Duration, keeper: bool) {
        let until = self.now + length;
        if length > LOST_AFTER && self.workers[worker].keeper.running().next().is_some() {
            self.sometimes(Rare::FrozenTooLong);
        }
        let now = self.now;
        let me = &mut self.workers[worker];
        // It hears nothing meanwhile, and does not look either.
        me.contact = None;
        if let Some(process) = &mut me.process {
            freeze(&mut process.frozen, now, until);
        }
        if keeper {
            freeze(&mut me.keeper.frozen, now, until);
        }
    }

    /// The machine is switched off and on again: nothing runs any more, and what comes back is another life.
    fn reboot(&mut self, worker: usize, dice: &mut Rng) {
        let back = dice.ms(500, 60_000);
        // Nobody says goodbye when the power goes.
        let tell = dice.percent(30);
        self.crash_worker(worker, tell, back);
        let now = self.now;
        let me = &mut self.workers[worker];
        me.boots += 1;
        me.keeper.number += 1;
        me.keeper.frozen = now;
        let held = !me.keeper.kept.is_empty();
        me.keeper.kept.clear();
        me.keeper.orphans.clear();
        if held {
            self.sometimes(Rare::Rebooted);
        }
    }

    fn cut(&mut self, worker: usize, how: Break, dice: &mut Rng) {
        let connection = self.workers[worker].process.as_ref().and_then(|process| process.connection);
        if let Some(connection) = connection {
            self.break_connection(connection, how, dice);
        }
    }

    /// An order that an earlier reign gave, or would have, comes over the worker's present connection.
    fn stray(&mut self, worker: usize, dice: &mut Rng) {
        let me = &self.workers[worker];
        let Some(connection) = me.process.as_ref().filter(|p| p.session.is_open()).and_then(|p| p.connection) else {
            return;
        };
        let Some(scheduler) = self.net.open.get(&connection).map(|c| c.scheduler) else { return };
        let running: Vec<AttemptId> = me.keeper.running().collect();
        let Some(epoch) = me.epoch().0.checked_sub(1).filter(|epoch| *epoch > 0) else { return };
        let Some(sequence) = self.next_order(scheduler, connection) else { return };
        let nobody = AttemptId { task: TaskId::from_parts(1, 0, 0, 0), no: domain::AttemptNo::FIRST };
        let attempt = if running.is_empty() { nobody } else { *dice.one(&running) };
        let orders = vec![Order::Kill(attempt)];
        let batch = OrderBatch { shard: SHARD, epoch: domain::Epoch(epoch), sequence, orders };
        self.send(End::Worker, connection, Happening::ToWorker { connection, batch });
    }
}

/// A process stands still, unless it does already: what waits for it stays in order.
fn freeze(frozen: &mut Monotonic, now: Monotonic, until: Monotonic) {
    if *frozen <= now {
        *frozen = until;
    }
}

/// How long a process stands still: mostly for less than anybody notices, sometimes for longer than anybody waits.
fn standstill(dice: &mut Rng) -> Duration {
    match dice.below(3) {
        0 => dice.ms(1, 2_000),
        1 => dice.ms(2_000, 40_000),
        _ => dice.ms(40_000, 100_000),
    }
}
