//! Retention, as the embedded store does it: steps that stop at the same rows are not promised, their sum is.

use super::{Disk, Row};
use crate::{Expired, Expiry, waiting};
use domain::StateWord;

impl Disk {
    /// One step of a reign that is current. It takes no time.
    pub(super) fn expire(&mut self, step: &Expiry) -> Expired {
        let Expiry { before: finished_before, after, limit, time: _ } = *step;
        let limit = limit.max(1);
        let (mut expired, mut left) = (Expired::default(), limit);
        let old = |row: &Row| i64::try_from(row.task.id.unix_ms()).is_ok_and(|ms| ms < finished_before.0);
        let behind = self.tasks.range(after.saturating_add(1)..).take_while(|(_, row)| old(row));
        let candidates: Vec<(i64, Row)> = behind.take(limit).map(|(key, row)| (*key, row.clone())).collect();
        let mut next = candidates.last().map(|(key, _)| *key).filter(|_| candidates.len() == limit);
        for (key, row) in candidates {
            if left == 0 {
                next = Some(key - 1);
                break;
            }
            left -= 1;
            if row.task.finished.is_none_or(|stamp| stamp.at >= finished_before) {
                continue;
            }
            if !self.expire_members(key, &row, &mut left, &mut expired) {
                next = Some(key - 1);
                break;
            }
            self.expire_task(key, &row, &mut expired);
        }
        Expired { next, ..expired }
    }

    /// Deletes some of an array's members; whether none is left.
    fn expire_members(&mut self, key: i64, array: &Row, left: &mut usize, expired: &mut Expired) -> bool {
        let all = (key, 0)..=(key, u32::MAX);
        let slice: Vec<(i64, u32)> =
            self.members.range(all.clone()).take((*left).max(1)).map(|(key, _)| *key).collect();
        *left -= slice.len().min(*left);
        for member in slice {
            let Some(found) = self.members.get(&member).and_then(|row| self.member(member, row)) else { continue };
            self.forget(array.class, found.task.state.word(), 1, expired);
            self.members.remove(&member);
            self.progress.retain(|(task, _), _| *task != found.task.id);
            self.tails.retain(|(task, _, _), _| *task != found.task.id);
        }
        self.members.range(all).next().is_none()
    }

    fn expire_task(&mut self, key: i64, row: &Row, expired: &mut Expired) {
        let task = &row.task;
        if task.array.is_none() {
            self.forget(row.class, task.state.word(), 1, expired);
        } else if let Some((n, word)) = waiting::rest(task) {
            self.forget(row.class, word, n, expired);
        }
        self.tasks.remove(&key);
        self.entries.retain(|(array, _), _| *array != key);
        self.keys.retain(|_, row| *row != key);
        self.progress.retain(|(id, _), _| *id != task.id);
        self.tails.retain(|(id, _, _), _| *id != task.id);
    }

    fn forget(&mut self, class: u64, word: StateWord, n: u64, expired: &mut Expired) {
        if let Some((_, counts)) = self.classes.by_number.get_mut(&class) {
            counts.change(word, -i64::try_from(n).unwrap_or(i64::MAX));
        }
        expired.tasks += n;
        expired.counts.add(word, n);
    }
}
