//! Whoever reads a story, live or late, from the beginning or from the middle, finds the same.

mod array;
mod lines;
mod stage;

use super::actor::Attached;
use super::watch::{begin, confirm, end, unknown};
use super::{StoryItem, Told};
use domain::{AttemptNo, EventKind, Kind, StoryId, StreamName, TaskId};
use futures_util::StreamExt as _;
use stage::Stage;
use std::sync::mpsc::channel;

const BEGIN: StoryId = StoryId { event: 0, frame: 0 };
const FIRST: AttemptNo = AttemptNo(1);

fn ids(items: &[StoryItem]) -> Vec<String> {
    items.iter().map(|item| item.id.to_string()).collect()
}

/// Deterministic choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One random life of a task, with readers that attach at random moments.
async fn live(seed: u64) {
    let mut dice = Dice(seed);
    let output = dice.roll(2) == 0;
    let (mut stage, first) = Stage::expected(output).await;
    let mut readers = vec![(output, first)];
    for _ in 0..30 {
        match (dice.roll(12), stage.attempt()) {
            (0..=4, Some(no)) => drop(stage.write(no, 1 + dice.roll(4) as usize).await),
            (5, Some(no)) => {
                // The worker's connection broke: it sends again what may have been stored.
                let frames = stage.write(no, 2).await;
                stage.send(frames).await;
            }
            (6 | 7, Some(_)) => stage.progress().await,
            (8, Some(no)) => {
                stage.lose().await;
                stage.write(no, 2).await;
            }
            (9, Some(_)) if dice.roll(2) == 0 => {
                stage.commit_progress();
                stage.reset().await;
            }
            (0..=9, _) if stage.attempt().is_none() => stage.dispatch().await,
            (10, Some(_)) => {
                // A reader may come between commit and publication.
                stage.hold();
                if dice.roll(2) == 0 {
                    stage.lose().await
                } else {
                    stage.progress().await
                }
                readers.push((true, stage.follow(BEGIN, true)));
                for _ in 0..dice.roll(40) {
                    tokio::task::yield_now().await;
                }
                stage.let_go().await;
            }
            (10, None) => tokio::task::yield_now().await,
            _ => {
                let output = dice.roll(3) > 0;
                readers.push((output, stage.follow(BEGIN, output)));
            }
        }
    }
    if stage.attempt().is_none() {
        stage.dispatch().await;
    }
    stage.finish(dice.roll(3) as usize).await;
    let late = stage.story(BEGIN, true, usize::MAX).await;
    assert_eq!(late.iter().map(|i| i.sequence).collect::<Vec<_>>(), (1..=late.len() as u64).collect::<Vec<_>>());
    assert!(late.is_sorted_by(|a, b| a.id < b.id), "seed {seed}: {:?}", ids(&late));
    let events = events(&late);
    for (output, reader) in readers {
        assert_eq!(reader.await.unwrap(), if output { &*late } else { &*events }, "seed {seed}");
    }
    resume(&stage, &late).await;
}

/// From every id the rest follows, with output or without.
async fn resume(stage: &Stage, whole: &[StoryItem]) {
    for (index, item) in whole.iter().enumerate() {
        let rest = stage.story(item.id, true, usize::MAX).await;
        assert_eq!(rest, whole[index + 1..], "after {}", item.id);
    }
    assert_eq!(stage.story(BEGIN, false, usize::MAX).await, events(whole));
}

fn events(story: &[StoryItem]) -> Vec<StoryItem> {
    story.iter().filter(|item| matches!(item.told, Told::Event(_))).cloned().collect()
}

#[tokio::test]
async fn every_reader_sees_the_same_story_however_it_came_about() {
    for seed in 0..24 {
        live(seed).await;
    }
}

#[tokio::test]
async fn a_reader_may_come_at_any_moment() {
    let mut stage = Stage::new(None).await;
    let id = stage.task.id;
    let mut readers = vec![stage.attach(id, true).await];
    // Each step is committed, then published; a task with two attempts and something between them.
    for step in 0..6 {
        stage.stored().await;
        readers.push(stage.attach(id, step % 2 == 0).await);
        stage.hold();
        match step {
            0 | 3 => stage.dispatch().await,
            1 | 4 => stage.progress().await,
            2 => stage.lose().await,
            _ => stage.finish(2).await,
        }
        readers.push(stage.attach(id, step % 2 == 1).await);
        stage.let_go().await;
        readers.push(stage.attach(id, step % 2 == 0).await);
        if let Some(no) = stage.attempt() {
            stage.write(no, 2).await;
        }
    }
    let whole = stage.story(BEGIN, true, usize::MAX).await;
    let expected = ["1.0", "2.0", "2.1", "2.2", "3.0", "3.3", "3.4", "4.0", "5.0", "5.1", "5.2", "6.0", "6.3", "6.4"];
    assert_eq!(ids(&whole), [&expected[..], &["6.5", "6.6", "7.0"]].concat());
    for (number, reader) in readers.into_iter().enumerate() {
        let seen = reader.await.unwrap();
        let all = seen.iter().any(|item| matches!(item.told, Told::Output(_)));
        assert_eq!(seen, if all { whole.clone() } else { events(&whole) }, "reader {number}");
    }
}

#[tokio::test]
async fn who_expects_a_task_that_is_there_already_reads_it_as_others_do() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    let expected = stage.story.expect(stage.task.id, true).await.unwrap();
    stage.write(FIRST, 1).await;
    stage.finish(0).await;
    let seen: Vec<StoryItem> = expected.map(Result::unwrap).collect().await;
    assert_eq!(ids(&seen), ["1.0", "2.0", "2.1", "3.0"]);
}

#[tokio::test]
async fn a_reader_of_a_waiting_task_is_told_of_its_first_attempt_and_what_it_wrote() {
    let mut stage = Stage::new(None).await;
    stage.hold();
    stage.dispatch().await;
    // Committed, but not published: the reader finds the dispatch in the store, and hears of it once more.
    let reader = stage.attach(stage.task.id, true).await;
    stage.let_go().await;
    stage.write(FIRST, 2).await;
    stage.finish(0).await;
    assert_eq!(ids(&reader.await.unwrap()), ["1.0", "2.0", "2.1", "2.2", "3.0"]);
}

#[tokio::test]
async fn the_store_is_read_no_further_than_an_attempt_that_began_meanwhile() {
    let (open, gate) = channel();
    let mut stage = Stage::new(Some(gate)).await;
    let id = stage.task.id;
    let Attached { bound, mut follower } = stage.story.attach(id).await.unwrap();
    assert_eq!(bound, None);
    // Between attaching and reading the record: the record has event 3, and a frame before it that isn't durable.
    stage.dispatch().await;
    stage.write(FIRST, 1).await;
    stage.progress().await;
    let record = stage.story.read_record(id).unwrap();
    assert_eq!(record.events, 3);
    let begun = begin(&stage.story, &record, StoryId::default(), end(&record), true).unwrap();
    let (after, output) = (StoryId::default(), true);
    let confirmed = confirm(&stage.story, record.clone(), begun, &mut follower, after, output).await.unwrap();
    let (script, items) = confirmed.expect("the feed is there");
    assert_eq!((script.bound, ids(&items)), (StoryId { event: 1, frame: 0 }, vec!["1.0".to_owned()]));
    assert_eq!(unknown(&stage.story, &record, &mut follower).await, Ok(Some(StoryId { event: 1, frame: 0 })));
    drop(open);
    let told = [follower.next().await, follower.next().await, follower.next().await];
    assert_eq!(told.map(|item| item.unwrap().id.to_string()), ["2.0", "2.1", "3.0"]);
    stage.finish(0).await;
    let Attached { bound, mut follower } = stage.story.attach(id).await.unwrap();
    assert_eq!(bound, None, "it is over");
    stage.reset().await;
    assert_eq!(unknown(&stage.story, &record, &mut follower).await, Ok(None), "the feed was lost: attach again");
}

#[tokio::test]
async fn output_goes_with_its_tasks() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    for _ in 0..30 {
        stage.write(FIRST, 1).await;
        stage.stored().await;
    }
    stage.finish(0).await;
    let sealed = stage.story.output.sealed().unwrap();
    assert!(sealed.len() > 1, "{sealed:?}");
    let stays = stage.story.sweep_once(Default::default()).await.unwrap();
    assert_eq!(stays, sealed.iter().map(|segment| (*segment, stage.task.id)).collect(), "the task is there");
    assert_eq!(stage.expire(), 1);
    // The last one is appended to: it is sealed first, and goes with the next sweep.
    let (open, tasks) = stage.story.output.open();
    assert_eq!(tasks, [stage.task.id].into());
    assert_eq!(stage.story.sweep_once(stays).await.unwrap().len(), 1, "it says that it will look again");
    while stage.story.output.sealed().unwrap() != [open] {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.story.sweep_once(Default::default()).await.unwrap(), Default::default());
    while !stage.story.output.sealed().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.story.output.open(), (open + 1, Default::default()), "not a byte is left");
    let gone = stage.story.watch(stage.task.id, BEGIN, true).await.map(|_| ()).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_event_waits_for_the_output_before_it() {
    let (open, gate) = channel();
    let mut stage = Stage::new(Some(gate)).await;
    stage.dispatch().await;
    stage.write(FIRST, 1).await;
    stage.progress().await;
    stage.write(FIRST, 1).await;
    // Committed, but the frame before it isn't durable: neither a reader of the store nor a follower may see it.
    assert_eq!(ids(&stage.story(BEGIN, true, 2).await), ["1.0", "2.0"]);
    let follower = stage.follow(BEGIN, true);
    tokio::task::yield_now().await;
    open.send(Ok(())).unwrap();
    open.send(Ok(())).unwrap();
    stage.finish(1).await;
    let expected = ["1.0", "2.0", "2.1", "3.0", "3.2", "3.3", "4.0"];
    assert_eq!(ids(&follower.await.unwrap()), expected);
    assert_eq!(ids(&stage.story(BEGIN, true, 99).await), expected);
}

#[tokio::test]
async fn a_full_disk_delays_output_and_loses_none() {
    let (open, gate) = channel();
    let mut stage = Stage::new(Some(gate)).await;
    stage.dispatch().await;
    let follower = stage.follow(BEGIN, true);
    stage.write(FIRST, 2).await;
    open.send(Err(std::io::ErrorKind::StorageFull.into())).unwrap();
    drop(open);
    stage.finish(0).await;
    assert_eq!(ids(&follower.await.unwrap()), ["1.0", "2.0", "2.1", "2.2", "3.0"]);
}

#[tokio::test]
async fn a_reader_that_falls_behind_loses_nothing() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    let story = stage.story.watch(stage.task.id, BEGIN, true).await.unwrap();
    let mut story = Box::pin(story);
    use futures_util::StreamExt as _;
    let mut seen = vec![story.next().await.unwrap().unwrap(), story.next().await.unwrap().unwrap()];
    for round in 0..150 {
        stage.progress().await;
        if round % 3 == 0 {
            stage.write(FIRST, 1).await;
        }
    }
    stage.finish(2).await;
    seen.extend(story.map(Result::unwrap).collect::<Vec<_>>().await);
    assert_eq!(seen, stage.story(BEGIN, true, usize::MAX).await);
    assert_eq!(seen.len(), 2 + 150 + 50 + 2 + 1);
}

#[tokio::test]
async fn output_of_an_attempt_given_up_is_kept_but_not_told() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    stage.write(FIRST, 2).await;
    stage.lose().await;
    stage.write(FIRST, 1).await;
    stage.dispatch().await;
    stage.write(AttemptNo(2), 1).await;
    stage.finish(0).await;
    let told = ids(&stage.story(BEGIN, true, 99).await);
    assert_eq!(told, ["1.0", "2.0", "2.1", "2.2", "3.0", "4.0", "4.1", "5.0"]);
    let bytes = |no| stage.bytes(StreamName::Stderr, 0, no, false);
    assert_eq!(bytes(Some(FIRST)).await.unwrap(), "1.3;");
    assert_eq!(stage.bytes(StreamName::Stdout, 0, None, true).await.unwrap(), "2.1;");
}

#[tokio::test]
async fn a_new_process_continues_the_story() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    let first = stage.write(FIRST, 3).await;
    stage.progress().await;
    stage.commit_progress();
    stage.restart().await;
    assert_eq!(stage.story.stored(first[0].attempt), 3);
    let follower = stage.follow(BEGIN, true);
    // The worker doesn't know what was acknowledged to the old process.
    stage.send(first).await;
    stage.write(FIRST, 1).await;
    stage.finish(1).await;
    let expected = ["1.0", "2.0", "2.1", "2.2", "2.3", "3.0", "4.0", "4.4", "4.5", "5.0"];
    assert_eq!(ids(&follower.await.unwrap()), expected);
    resume(&stage, &stage.story(BEGIN, true, 99).await).await;
}

#[tokio::test]
async fn bytes_are_read_from_any_offset_stored_and_followed() {
    let mut stage = Stage::new(None).await;
    let before = stage.bytes(StreamName::Stdout, 0, None, true);
    tokio::task::yield_now().await;
    stage.dispatch().await;
    stage.write(FIRST, 5).await;
    let during = stage.bytes(StreamName::Stdout, 6, None, true);
    stage.write(FIRST, 2).await;
    stage.finish(4).await;
    let whole = "1.1;1.2;1.4;1.5;1.7;1.8;1.10;1.11;";
    assert_eq!(before.await.unwrap(), whole);
    assert_eq!(during.await.unwrap(), whole[6..]);
    for offset in 0..=whole.len() {
        let read = stage.bytes(StreamName::Stdout, offset as u64, Some(FIRST), true);
        assert_eq!(read.await.unwrap(), whole[offset..], "from {offset}");
    }
    assert_eq!(stage.bytes(StreamName::Stdout, 999, None, true).await.unwrap(), "");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let mut stage = Stage::new(None).await;
    let nobody = TaskId::from_parts(5, 0, 0, 0);
    let missing = stage.story.watch(nobody, BEGIN, true).await.map(|_| ()).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    let read = stage.story.read_output(nobody, StreamName::Stdout, 0, None, true).await.map(|_| ()).unwrap_err();
    assert_eq!(read.kind(), Kind::NotFound);
    stage.dispatch().await;
    let task = stage.task.id;
    let seventh = stage.story.read_output(task, StreamName::Stdout, 0, Some(AttemptNo(7)), true).await;
    assert_eq!(seventh.map(|_| ()).unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_gap_is_refused_and_a_stranger_s_output_dropped() {
    let mut stage = Stage::new(None).await;
    stage.dispatch().await;
    let mut frames = stage.write(FIRST, 3).await;
    stage.stored().await;
    let mut foreign = stage.story.inlet(domain::WorkerId::new("w2"), domain::Incarnation("dir@boot".into()));
    let mut own = stage.story.inlet(domain::WorkerId::new("w1"), domain::Incarnation("dir@boot".into()));
    frames.iter_mut().for_each(|frame| frame.number += 3);
    foreign.put(frames.clone()).await.unwrap().await.unwrap().unwrap();
    let gap = own.put(frames.split_off(1)).await.unwrap().await.unwrap().unwrap_err();
    assert_eq!(gap.kind(), Kind::Invalid);
    assert_eq!(stage.story.stored(frames[0].attempt), 3);
}

#[tokio::test]
async fn a_place_beyond_the_end_tells_only_what_comes_after_it() {
    let mut stage = Stage::new(None).await;
    let follower = stage.follow(StoryId { event: 3, frame: 1 }, true);
    tokio::task::yield_now().await;
    stage.dispatch().await;
    stage.progress().await;
    stage.write(FIRST, 2).await;
    stage.finish(0).await;
    let seen = follower.await.unwrap();
    assert_eq!(ids(&seen), ["3.2", "4.0"]);
    assert_eq!(seen.iter().map(|item| item.sequence).collect::<Vec<_>>(), [5, 6]);
    assert!(matches!(&seen[1].told, Told::Event(event) if matches!(event.kind, EventKind::Finished(..))));
    assert_eq!(stage.story(StoryId { event: 99, frame: 0 }, true, 9).await, []);
}
