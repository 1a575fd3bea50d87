//! What waits has no line in memory, unless somebody reads it.

use crate::story::actor::{Actor, Attached, Command};
use crate::story::pen::Pen;
use domain::*;
use output::segment::SegmentStore;
use tokio::sync::oneshot;

fn task(n: u64) -> TaskId {
    TaskId::from_parts(n, 0, 0, 0)
}

fn publish(actor: &mut Actor, task: TaskId, event: u64, kind: EventKind) {
    let event = Event { task, stamp: Stamp { event, at: UnixMillis(0) }, attempt: 1, kind };
    actor.command(Command::Publish(vec![(event, Tail::default())]));
}

fn attach(actor: &mut Actor, task: TaskId) -> Attached {
    let (reply, mut answer) = oneshot::channel();
    actor.command(Command::Attach(task, reply));
    answer.try_recv().unwrap()
}

fn actor(dir: &tempfile::TempDir) -> Actor {
    let output = SegmentStore::open(dir.path()).unwrap();
    let reader = output.reader();
    Actor::new(reader, Pen::start(Box::new(output), |_, _| {}).unwrap())
}

fn dispatched() -> EventKind {
    EventKind::Dispatched(WorkerId::new("w"))
}

fn lost() -> EventKind {
    EventKind::AttemptEnded(Ending::Lost, None)
}

#[test]
fn only_what_runs_or_is_read_has_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut actor = actor(&dir);
    for n in 0..1_000 {
        publish(&mut actor, task(n), 1, EventKind::Accepted);
    }
    assert_eq!(actor.lines(), 0);
    publish(&mut actor, task(1), 2, dispatched());
    assert_eq!(actor.lines(), 1);
    publish(&mut actor, task(1), 3, lost());
    assert_eq!(actor.lines(), 0, "between two attempts");
    let reader = attach(&mut actor, task(1));
    assert_eq!((actor.lines(), reader.bound), (1, None), "what happened before is in the store");
    publish(&mut actor, task(1), 4, dispatched());
    publish(&mut actor, task(1), 5, lost());
    assert_eq!(actor.lines(), 1, "it is read");
    let later = attach(&mut actor, task(1));
    assert_eq!(later.bound, Some(StoryId { event: 5, frame: 0 }));
    drop((reader, later));
    publish(&mut actor, task(1), 6, dispatched());
    publish(&mut actor, task(1), 7, EventKind::Finished(Final::Completed, 0));
    assert_eq!(actor.lines(), 0);
}

#[test]
fn readers_that_are_gone_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut actor = actor(&dir);
    for n in 0..5_000 {
        drop(attach(&mut actor, task(n)));
    }
    assert!(actor.lines() <= 1_024, "{}", actor.lines());
}

#[test]
fn the_end_of_an_array_sends_the_readers_of_waiting_members_to_the_store() {
    let ends = [EventKind::CancelRequested, EventKind::Finished(Final::Cancelled { unconfirmed: None }, 1)];
    for end in ends {
        let dir = tempfile::tempdir().unwrap();
        let mut actor = actor(&dir);
        let (array, other) = (task(5), task(6));
        publish(&mut actor, array.member(1), 2, dispatched());
        let mut readers = [array.member(0), array.member(1), array.member(limits::ARRAY_INDEX), other.member(0)]
            .map(|member| attach(&mut actor, member).follower);
        // Of a member, it is the end of nothing else.
        publish(&mut actor, array.member(7), 2, end.clone());
        assert_eq!(actor.lines(), 4);
        publish(&mut actor, array, 2, end);
        assert_eq!(actor.lines(), 2);
        let lost = readers.each_mut().map(|follower| matches!(follower.first(), crate::story::feed::First::Lost));
        assert_eq!(lost, [true, false, true, false]);
    }
}
