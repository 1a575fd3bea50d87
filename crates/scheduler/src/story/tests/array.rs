//! Stories of arrays and of their members: most members have no row, and end by one write of the array.

use super::stage::{Stage, accepted, attempt, class, insert};
use super::{BEGIN, ids};
use crate::story::Told;
use domain::*;
use std::sync::Arc;

/// An array of five members.
async fn array() -> Stage {
    let ranges = Ranges::parse("1-5").unwrap();
    Stage::with(accepted(Some(ArraySpec { ranges, entries: false })), None).await
}

fn stamp(stage: &mut Stage) -> Stamp {
    stage.task.stamp(UnixMillis(50))
}

async fn tell(stage: &mut Stage, task: TaskId, stamp: Stamp, kind: EventKind) {
    stage.tell(Event { task, stamp, attempt: 0, kind }, Tail::default()).await;
}

fn update(task: &Task) -> Write {
    Write::Update(Arc::new(task.clone()))
}

/// Its first member is given to a worker.
async fn begin(stage: &mut Stage) -> Task {
    let begun = stamp(stage);
    stage.task.state = State::Begun { cancelling: false };
    let mut member = stage.task.member(1, None).unwrap();
    let dispatched = member.stamp(UnixMillis(50));
    member.state = State::Dispatched(attempt(AttemptNo::FIRST, dispatched));
    let books = stage.task.array.as_mut().unwrap();
    (books.begun, books.next) = (Some(begun), 1);
    books.counts.change(StateWord::Queued, -1);
    books.counts.change(StateWord::Dispatched, 1);
    let tally = |word, by| Tally { class: class(&member), word, by };
    let tallies = vec![tally(StateWord::Queued, -1), tally(StateWord::Dispatched, 1)];
    stage.commit_all(vec![update(&stage.task), insert(&member)], tallies);
    let array = stage.task.id;
    tell(stage, array, begun, EventKind::Begun).await;
    tell(stage, member.id, dispatched, EventKind::Dispatched(WorkerId::new("w1"))).await;
    member
}

/// The array is cancelled: what waits is over with it, what runs isn't.
async fn cancel(stage: &mut Stage) {
    let asked = stamp(stage);
    stage.task.state = State::Begun { cancelling: true };
    stage.task.cancel = Some(asked);
    let class = class(&stage.task);
    let books = stage.task.array.as_mut().unwrap();
    books.closed = Some(asked.at);
    books.counts.change(StateWord::Queued, -4);
    books.counts.change(StateWord::Cancelled, 4);
    let tally = |word, by| Tally { class: Arc::clone(&class), word, by };
    let tallies = vec![tally(StateWord::Queued, -4), tally(StateWord::Cancelled, 4)];
    let (array, at) = (stage.task.id, asked.at);
    stage.commit_all(vec![update(&stage.task), Write::Close { array, at }], tallies);
    tell(stage, array, asked, EventKind::CancelRequested).await;
}

/// The first member ends, and the array with it.
async fn end(stage: &mut Stage, mut member: Task) {
    let (ended, over) = (member.stamp(UnixMillis(60)), stamp(stage));
    let live = member.state.live().cloned().unwrap();
    member.ended.push(Attempt { ended: Some((ended, Ending::Exited(Exit::Killed))), ..live });
    member.backed_off.push(None);
    let cancelled = Final::Cancelled { unconfirmed: None };
    for (task, stamp) in [(&mut member, ended), (&mut stage.task, over)] {
        task.state = State::Final(cancelled.clone());
        task.finished = Some(stamp);
    }
    let tally = |word, by| Tally { class: class(&member), word, by };
    let tallies = vec![tally(StateWord::Dispatched, -1), tally(StateWord::Cancelled, 1)];
    let books = stage.task.array.as_mut().unwrap();
    books.counts.change(StateWord::Dispatched, -1);
    books.counts.change(StateWord::Cancelled, 1);
    stage.commit_all(vec![update(&member), update(&stage.task)], tallies);
    let array = stage.task.id;
    tell(stage, member.id, ended, EventKind::Finished(cancelled.clone(), -1)).await;
    tell(stage, array, over, EventKind::Finished(cancelled, 1)).await;
}

#[tokio::test]
async fn an_array_and_its_members_are_watched_to_their_ends() {
    let mut stage = array().await;
    let id = stage.task.id;
    let early = [id, id.member(1), id.member(3)];
    let mut readers = Vec::new();
    for task in early {
        readers.push((task, stage.attach(task, true).await));
    }
    let member = begin(&mut stage).await;
    for task in early {
        readers.push((task, stage.attach(task, true).await));
    }
    let progress = Progress { percent: 20, message: "1 of 5".into() };
    let said = stamp(&mut stage);
    let row = Write::Progressed { task: id, stamp: said, attempt: 0, progress: progress.clone() };
    stage.commit_all(vec![row, update(&stage.task)], Vec::new());
    tell(&mut stage, id, said, EventKind::Progressed(progress)).await;
    stage.hold();
    cancel(&mut stage).await;
    readers.push((id.member(5), stage.attach(id.member(5), true).await));
    stage.let_go().await;
    end(&mut stage, member).await;
    for (task, reader) in readers {
        let seen = ids(&reader.await.unwrap());
        match task.index() {
            None => assert_eq!(seen, ["1.0", "2.0", "3.0", "4.0", "5.0"], "the array"),
            Some(1) => assert_eq!(seen, ["1.0", "2.0", "3.0"], "the one that ran"),
            Some(index) => assert_eq!(seen, ["1.0", "2.0"], "member {index}, which never ran"),
        }
    }
}

#[tokio::test]
async fn what_is_told_late_is_what_was_told_live() {
    let mut stage = array().await;
    let id = stage.task.id;
    let live = [stage.attach(id, false).await, stage.attach(id.member(2), false).await];
    let member = begin(&mut stage).await;
    cancel(&mut stage).await;
    end(&mut stage, member).await;
    for (task, live) in [id, id.member(2)].into_iter().zip(live) {
        let late = stage.attach(task, false).await.await.unwrap();
        assert_eq!(live.await.unwrap(), late);
        let last = late.last().map(|item| &item.told);
        assert!(matches!(last, Some(Told::Event(event)) if event.kind.is_final()), "{last:?}");
    }
    let unknown = stage.story.watch(id.member(6), BEGIN, true).await.map(|_| ()).unwrap_err();
    assert_eq!(unknown.kind(), Kind::NotFound);
}
