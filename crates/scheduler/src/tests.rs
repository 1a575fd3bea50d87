//! The verbs, from the door to the store and back.

mod rig;

use domain::StateWord;
use rig::Rig;
use std::time::Duration;
use tonic::{Code, Request};
use wire::v1::{self, scheduler_server::Scheduler as _};

const FOR_EVER: Duration = Duration::ZERO;

fn array(first: u32, last: u32, entries: &[&str]) -> Option<v1::TaskArray> {
    let entries = entries.iter().map(ToString::to_string).collect();
    Some(v1::TaskArray { ranges: vec![v1::Range { first, last }], entries })
}

#[tokio::test]
async fn a_retried_array_is_its_failed_members_with_their_entries() {
    let rig = Rig::start(FOR_EVER);
    // Members 3 and 5 fail, unless they are of a retry.
    rig.worker(|start| i32::from(start.spec.retry.max_retries == 0 && start.entry.as_deref().is_some_and(|e| e > "c")))
        .await;
    let id = rig.submit(|spec| spec.array = array(1, 5, &["a", "b", "d", "c", "e"])).await;
    let ended = rig.ended(id).await;
    let members = ended.members.unwrap();
    assert_eq!((ended.state.as_str(), members.completed, members.failed), ("failed", 3, 2));
    assert_eq!(rig.get(id.member(5)).await.entry.as_deref(), Some("e"));
    let again = rig.retry(id).await.unwrap();
    let retried = rig.ended(again).await;
    assert_eq!(retried.retry_of, id.to_string());
    let ranges: Vec<_> = retried.spec.unwrap().array.unwrap().ranges.iter().map(|r| (r.first, r.last)).collect();
    assert_eq!((ranges, retried.members.unwrap().failed), (vec![(3, 3), (5, 5)], 2), "they fail again");
    assert_eq!(rig.get(again.member(5)).await.entry.as_deref(), Some("e"));
    let one = rig.retry(id.member(2)).await.unwrap();
    let one_ended = rig.ended(one.member(2)).await;
    assert_eq!((one_ended.state.as_str(), one_ended.entry.as_deref()), ("completed", Some("b")));
    assert_eq!(rig.retry(one).await.unwrap_err().code(), Code::FailedPrecondition, "none of its members failed");
    rig.stop().await;
}

#[tokio::test]
async fn only_what_is_over_is_retried() {
    let rig = Rig::start(FOR_EVER);
    let id = rig.submit(|_| ()).await;
    let refused = rig.retry(id).await.unwrap_err();
    let text = format!("task {id} is queued: only a final task can be retried");
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, text.as_str()));
    assert_eq!(rig.retry(rig.id()).await.unwrap_err().code(), Code::NotFound);
    rig.door.mailbox.cancel(vec![id]).await.unwrap();
    let again = rig.retry(id).await.unwrap();
    assert_eq!((rig.get(again).await.retry_of, rig.get(id).await.state), (id.to_string(), "cancelled".into()));
    rig.stop().await;
}

#[tokio::test]
async fn a_filter_cancels_what_it_matches_and_nothing_else() {
    let rig = Rig::start(FOR_EVER);
    let mut mine = Vec::new();
    for _ in 0..5 {
        mine.push(rig.submit(|spec| spec.queue = "mine".into()).await);
    }
    let other = rig.submit(|_| ()).await;
    rig.door.mailbox.cancel(vec![mine[0]]).await.unwrap();
    let request = v1::CancelTasksRequest { queue: "mine".into(), ..Default::default() };
    let done = rig.door.cancel_tasks(Request::new(request)).await.unwrap().into_inner();
    assert_eq!((done.cancelled, done.cancelling), (4, 0));
    assert_eq!(rig.get(mine[4]).await.state, "cancelled");
    assert_eq!(rig.get(other).await.state, "queued");
    // Some members of an array, by its id.
    let id = rig.submit(|spec| spec.array = array(1, 2_500, &[])).await;
    let request = v1::CancelTasksRequest { array_id: id.to_string(), ..Default::default() };
    let done = rig.door.cancel_tasks(Request::new(request)).await.unwrap().into_inner();
    assert_eq!((done.cancelled, rig.ended(id).await.state.as_str()), (2_500, "cancelled"));
    rig.stop().await;
}

#[tokio::test]
async fn what_waits_says_why() {
    let rig = Rig::start(FOR_EVER);
    let (first, second) = (rig.submit(|_| ()).await, rig.submit(|_| ()).await);
    let request = v1::ExplainTaskRequest { task_id: second.to_string() };
    let answer = rig.door.explain_task(Request::new(request)).await.unwrap().into_inner();
    assert_eq!((answer.state.as_str(), answer.waiting_for[0].code.as_str()), ("queued", "no_worker"));
    let pause = |resume| Request::new(v1::PauseQueueRequest { queue: "default".into(), resume });
    rig.door.pause_queue(pause(false)).await.unwrap();
    rig.worker(|_| 0).await;
    // Views are a little younger than what they show.
    let mut views = rig.door.views.clone();
    views.wait_for(|view| !view.snapshot.workers.is_empty() && !view.snapshot.paused.is_empty()).await.unwrap();
    assert_eq!(rig.get(first).await.waiting_for[0].code, "queue_paused");
    let queues = rig.door.list_queues(Request::new(v1::ListQueuesRequest {})).await.unwrap().into_inner().queues;
    assert_eq!((queues.len(), queues[0].paused, queues[0].tasks.unwrap().queued), (1, true, 2));
    rig.door.pause_queue(pause(true)).await.unwrap();
    assert_eq!(rig.ended(second).await.state, "completed");
    rig.stop().await;
}

#[tokio::test]
async fn nobody_is_said_to_be_there_or_not_before_the_store_is_open() {
    let list = || Request::new(v1::ListWorkersRequest {});
    let rig = Rig::start(FOR_EVER);
    // The loop hasn't run yet: the call comes before the store is opened, and waits for that.
    assert_eq!(rig.door.list_workers(list()).await.unwrap().into_inner().workers, []);
    rig.stop().await;
    let rig = Rig::start(FOR_EVER);
    rig.never_open();
    assert_eq!(rig.door.list_workers(list()).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn workers_are_drained_and_forgotten() {
    let rig = Rig::start(FOR_EVER);
    rig.worker(|_| 0).await;
    let mut views = rig.door.views.clone();
    views.wait_for(|view| !view.snapshot.workers.is_empty()).await.unwrap();
    let drain = |undo| Request::new(v1::DrainWorkerRequest { worker_id: "w1".into(), undo });
    assert_eq!(rig.door.drain_worker(drain(false)).await.unwrap().into_inner().running, 0);
    let id = rig.submit(|_| ()).await;
    assert_eq!(rig.get(id).await.state, "queued");
    let forget = |worker: &str| Request::new(v1::ForgetWorkerRequest { worker_id: worker.into() });
    let refused = rig.door.forget_worker(forget("w1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(rig.door.forget_worker(forget("nobody")).await.unwrap_err().code(), Code::NotFound);
    rig.door.drain_worker(drain(true)).await.unwrap();
    assert_eq!(rig.ended(id).await.state, "completed");
    rig.stop().await;
}

#[tokio::test]
async fn people_name_members_by_their_array() {
    let rig = Rig::start(FOR_EVER);
    let id = rig.submit(|spec| spec.array = array(7, 9, &[])).await;
    let resolve = async |text: &str| {
        let request = v1::ResolveTaskRequest { text: text.into() };
        rig.door.resolve_task(Request::new(request)).await.map(|answer| answer.into_inner().task_id)
    };
    let suffix = id.to_string()[28..].to_owned();
    for (text, means) in [
        ("last".to_owned(), id),
        ("last.8".to_owned(), id.member(8)),
        (format!("{suffix}.7"), id.member(7)),
        (id.member(9).to_string(), id.member(9)),
    ] {
        assert_eq!(resolve(&text).await.unwrap(), means.to_string());
    }
    assert_eq!(resolve("last.6").await.unwrap_err().code(), Code::NotFound);
    for bad in ["last.", "last.x", ".7", "last.7.7", "last.4294967295"] {
        assert_eq!(resolve(bad).await.unwrap_err().code(), Code::InvalidArgument, "{bad}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_and_no_longer_counted() {
    let rig = Rig::start(Duration::from_millis(1));
    rig.worker(|_| 0).await;
    let waiting = rig.submit(|spec| spec.labels = [("gpu".to_owned(), "yes".to_owned())].into()).await;
    let id = rig.submit(|spec| spec.array = array(1, 100, &[])).await;
    let plain = rig.submit(|_| ()).await;
    let mut views = rig.door.views.clone();
    let gone = views.wait_for(|view| view.stats.completed == 101 && view.counts.get(StateWord::Completed) == 0);
    let view = gone.await.unwrap().clone();
    assert_eq!(view.counts.total(), 1, "what waits is kept");
    for id in [id, plain] {
        let request = v1::GetTaskRequest { task_id: id.to_string() };
        assert_eq!(rig.door.get_task(Request::new(request)).await.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(rig.get(waiting).await.state, "queued");
    rig.stop().await;
}
