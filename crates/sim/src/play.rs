//! What people do to a fleet while things break, and how they put it right when the storm is over.

use crate::{
    act::Act,
    client::{Call, QUEUES},
    draw,
    lines::members,
    rng::Rng,
    world::{Happening, World},
};
use domain::{StateWord, TaskId, WorkerId};
use store::Store as _;

impl World {
    /// Somebody does something.
    pub(crate) fn play(&mut self, act: Act, mut dice: Rng) {
        let worker = WorkerId::new(&format!("w{}", dice.below(self.workers.len() as u64)));
        let queue = QUEUES[usize::from(dice.percent(50))];
        let on = dice.percent(40);
        match act {
            Act::Submit => {
                let tasks = (0..=dice.below(4)).map(|_| draw::task(self, &mut dice)).collect();
                self.call(Call::Submit(tasks));
            }
            Act::Cancel => {
                let tasks: Vec<TaskId> = (0..=dice.below(2)).filter_map(|_| self.pick(&mut dice, true)).collect();
                self.call(Call::Cancel(tasks));
            }
            Act::CancelMany => self.cancel_many(),
            Act::Retry => self.retry(&mut dice),
            Act::SameKey => self.same_key(&mut dice),
            Act::Pause => self.call(Call::Pause(queue, on)),
            Act::Drain => self.call(Call::Drain(worker, on)),
            Act::Forget => self.call(Call::Forget(worker)),
            _ if act.is_fault() => self.strike(act, dice),
            _ => {}
        }
    }

    /// When the storm is over: what people left in disorder is put right, or nothing would settle.
    pub(crate) fn settle_down(&mut self) {
        if let Some(call) = self.client.unsettled.pop() {
            self.call(call);
        }
        let endless = self.client.endless.iter().find(|t| self.client.accepted.contains(t)).copied();
        if let Some(task) = endless {
            self.call(Call::Cancel(vec![task]));
        }
        let delay = self.rng.ms(10, 2_000);
        self.after(delay, Happening::Settle);
    }

    /// Cancels much of what waits in one call.
    fn cancel_many(&mut self) {
        let reader = self.disk.store.reader();
        let word = |id: &TaskId| reader.task(*id).ok().flatten().map(|task| task.state.word());
        let accepted = self.client.accepted.iter().copied();
        let pending: Vec<TaskId> = accepted.filter(|id| word(id).is_some_and(StateWord::is_pending)).take(8).collect();
        self.call(Call::Cancel(pending));
    }

    /// Runs a task that has ended again, if the one picked has.
    fn retry(&mut self, dice: &mut Rng) {
        let Some(id) = self.pick(dice, false) else { return };
        let Ok(Some(task)) = self.disk.store.reader().task(id) else { return };
        if let Some(again) = draw::again(self, dice, &task) {
            self.report.retried += 1;
            self.call(Call::Submit(vec![again]));
        }
    }

    /// A client that was restarted submits the same again under its key, with another id; or something else under it.
    fn same_key(&mut self, dice: &mut Rng) {
        let Some(keyed) = self.client.keyed.get(usize::try_from(dice.below(64)).unwrap_or(0)).cloned() else { return };
        let again = draw::keyed(self, dice, &keyed);
        self.call(Call::Submit(vec![again]));
    }

    /// A task that was accepted or, if that may be, a member of one.
    fn pick(&mut self, dice: &mut Rng, member: bool) -> Option<TaskId> {
        let accepted = &self.client.accepted;
        let n = dice.below(accepted.len().max(1) as u64);
        let id = accepted.iter().nth(usize::try_from(n).unwrap_or(0)).copied()?;
        let whole = self.disk.store.reader().task(id).ok().flatten()?;
        let all = members(&whole);
        let n = usize::try_from(dice.below(all.len().max(1) as u64)).unwrap_or(0);
        if member && dice.percent(70) { all.get(n).copied() } else { Some(id) }
    }
}
