//! Retention.

use super::{commit, fill, samples::*, stores};
use crate::{Expired, Expiry, Failure, Reason, Store};
use domain::*;
use std::{sync::Arc, time::Duration};

/// What the ids of the samples are younger than.
const BEFORE: UnixMillis = UnixMillis(0x019a_0000_0000);

/// A step that has all the time it needs.
pub(super) fn step(before: UnixMillis, after: i64, limit: usize) -> Expiry {
    Expiry { before, after, limit, time: Duration::MAX }
}

/// All steps, one after the other.
fn expire(store: &mut dyn Store, epoch: Epoch, before: UnixMillis, limit: usize) -> Expired {
    let (mut all, mut after, mut steps) = (Expired::default(), 0, 0);
    loop {
        let Expired { tasks, counts, next } = store.expire(epoch, &step(before, after, limit)).unwrap();
        assert!(tasks <= limit.max(1) as u64 + 64, "{tasks} in one step of {limit}");
        assert_eq!(counts.total(), tasks);
        all.tasks += tasks;
        counts.iter().for_each(|(word, n)| all.counts.add(word, n));
        let Some(next) = next else { return all };
        (after, steps) = (next, steps + 1);
        assert!(steps < 1_000, "it comes to an end");
    }
}

/// Final since this moment.
fn ended(n: u64, end: Final, at: i64) -> Task {
    let mut task = in_state(queued(n), State::Final(end));
    task.finished = Some(Stamp { event: 20, at: UnixMillis(at) });
    task
}

#[test]
fn what_has_been_final_for_long_enough_goes_and_all_else_stays() {
    for limit in [1, 2, 3, 100] {
        for (name, mut store, _dir) in stores() {
            let mut tasks: Vec<Task> = (0..).zip(states()).map(|(n, state)| in_state(queued(n), state)).collect();
            let late = BEFORE.0;
            tasks.extend([ended(20, Final::Completed, late - 1), ended(21, Final::Completed, late)]);
            tasks.extend([ended(22, Final::Failed("x".into()), late - 1), queued(23)]);
            let (epoch, scribe) = fill(store.as_mut(), &tasks);
            let (stay, go): (Vec<&Task>, Vec<&Task>) = tasks
                .iter()
                .partition(|task| !task.state.is_final() || task.finished.is_none_or(|stamp| stamp.at >= BEFORE));
            let gone = expire(store.as_mut(), epoch, BEFORE, limit);
            assert_eq!(gone.tasks, go.len() as u64, "{name} {limit}");
            for task in go {
                assert_eq!(store.reader().task(task.id), Ok(None), "{name} {limit}");
            }
            for task in stay {
                assert_eq!(store.reader().task(task.id).unwrap().as_ref(), Some(task), "{name} {limit}");
            }
            let mut left = scribe.counts();
            gone.counts.iter().for_each(|(word, n)| left.change(word, -(n as i64)));
            assert_eq!(store.reader().counts(), Ok(left), "{name} {limit}");
            assert_eq!(expire(store.as_mut(), epoch, BEFORE, limit), Expired::default(), "{name}: nothing is left");
        }
    }
}

#[test]
fn with_a_task_goes_all_that_belongs_to_it_and_its_key_is_free() {
    for (name, mut store, _dir) in stores() {
        let key = IdempotencyKey { key: [1; 16], body: [2; 16] };
        let old = with_spec(ended(1, Final::Completed, 5), |spec| spec.key = Some(key.clone()));
        let (epoch, mut scribe) = fill(store.as_mut(), &[old, queued(2)]);
        for task in [id(1), id(2)] {
            let stamp = Stamp { event: 4, at: UnixMillis(1) };
            scribe.write(Write::Progressed { task, stamp, attempt: 1, progress: Progress::default() });
            scribe.write(Write::Tail { after: 1, frames: vec![frame(task, 1, 1)] });
        }
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(expire(store.as_mut(), epoch, BEFORE, 10).tasks, 1, "{name}");
        let reader = store.reader();
        let story = |task| (reader.progress(task, 0).unwrap().len(), reader.tails(task).unwrap().len());
        assert_eq!((story(id(1)), story(id(2))), ((0, 0), (1, 1)), "{name}");
        assert_eq!(store.facts(&[Need::Key(key.key)]).unwrap()[0].found, None, "{name}");
        let again = with_spec(queued(1), |spec| spec.key = Some(key));
        scribe.insert(&again);
        commit(store.as_mut(), epoch, &mut scribe);
        assert_eq!(store.reader().task(id(1)), Ok(Some(again)), "{name}: without the former result");
    }
}

#[test]
fn an_array_goes_in_slices_and_only_after_its_members() {
    for limit in [1, 4, 7, 1_000] {
        for (name, mut store, _dir) in stores() {
            let whole = with_spec(array(1, "0-99"), |spec| spec.array.as_mut().unwrap().entries = true);
            let entries: Vec<Arc<str>> = (0..100).map(|n| n.to_string().into()).collect();
            let (epoch, mut scribe) = fill(store.as_mut(), &[ended(0, Final::Completed, 5)]);
            scribe.insert_with_entries(&whole, &entries);
            scribe.insert(&queued(2));
            for rank in 0..40 {
                let end = if rank % 2 == 0 { Final::Completed } else { Final::Failed("x".into()) };
                scribe.member(id(1), rank, |member| in_state(member, State::Final(end)));
            }
            scribe.close(id(1), UnixMillis(6));
            scribe.end(id(1), Final::Failed("some".into()), UnixMillis(BEFORE.0 - 1));
            commit(store.as_mut(), epoch, &mut scribe);
            assert_eq!(expire(store.as_mut(), epoch, UnixMillis(BEFORE.0 - 1), limit).tasks, 1, "{name} {limit}");
            let step = store.expire(epoch, &step(BEFORE, 0, limit)).unwrap();
            if step.next.is_some() {
                let first = store.reader().task(id(1).member(0)).unwrap();
                assert_eq!(first, None, "{name} {limit}: what is gone isn't computed again");
                assert!(store.reader().task(id(1)).unwrap().is_some(), "{name} {limit}");
            }
            let gone = step.tasks + expire(store.as_mut(), epoch, BEFORE, limit).tasks;
            assert_eq!(gone, 100, "{name} {limit}: members without rows count as well");
            assert_eq!(store.reader().task(id(1)), Ok(None), "{name} {limit}");
            let counts = store.reader().counts().unwrap();
            assert_eq!((counts.get(StateWord::Queued), counts.total()), (1, 1), "{name} {limit}");
            scribe.insert(&array(1, "0-99"));
            commit(store.as_mut(), epoch, &mut scribe);
            let again = store.reader().task(id(1).member(0)).unwrap().unwrap();
            assert_eq!((again.state.word(), again.entry), (StateWord::Queued, None), "{name} {limit}");
        }
    }
}

#[test]
fn a_reign_that_is_over_deletes_nothing() {
    for (name, mut store, _dir) in stores() {
        let (old, _) = fill(store.as_mut(), &[ended(1, Final::Completed, 5)]);
        let new = store.begin().unwrap().epoch;
        let refused = store.expire(old, &step(BEFORE, 0, 10));
        assert_eq!(refused, Err(Failure::Definite(Reason::StaleEpoch)), "{name}");
        assert_eq!(store.expire(new, &step(BEFORE, 0, 10)).map(|expired| expired.tasks), Ok(1), "{name}");
    }
}

#[test]
fn a_commit_takes_a_step_along_or_neither_happens() {
    for (name, mut store, _dir) in stores() {
        let (epoch, mut scribe) = fill(store.as_mut(), &[ended(1, Final::Completed, 5), ended(2, Final::Completed, 5)]);
        scribe.insert(&queued(3));
        let batch = scribe.batch(epoch);
        let stale = Batch { epoch: Epoch(epoch.0 + 1), ..batch.clone() };
        let refused = store.commit_expiring(&stale, &step(BEFORE, 0, 1));
        assert_eq!(refused, Err(Failure::Definite(Reason::StaleEpoch)), "{name}");
        assert!(store.reader().task(id(1)).unwrap().is_some(), "{name}");
        let (commit, gone) = store.commit_expiring(&batch, &step(BEFORE, 0, 1)).unwrap();
        assert_eq!((gone.tasks, gone.next), (1, Some(id(1).row_key())), "{name}");
        let there = [id(1), id(2), id(3)].map(|id| store.reader().task(id).unwrap().is_some());
        assert_eq!(there, [false, true, true], "{name}");
        assert!(store.commit(&scribe.batch(epoch)).unwrap() > commit, "{name}");
    }
}

#[test]
fn a_step_without_time_gets_on_all_the_same() {
    for (name, mut store, _dir) in stores() {
        let tasks: Vec<Task> = (0..100).map(|n| ended(n, Final::Completed, 5)).collect();
        let (epoch, _) = fill(store.as_mut(), &tasks);
        let (mut after, mut gone) = (Some(0), 0);
        while let Some(place) = after {
            let expired = store.expire(epoch, &Expiry { time: Duration::ZERO, ..step(BEFORE, place, 1_000) }).unwrap();
            assert!(expired.next.is_none_or(|next| next > place), "{name}");
            (after, gone) = (expired.next, gone + expired.tasks);
        }
        assert_eq!(gone, 100, "{name}");
    }
}
