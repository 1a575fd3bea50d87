//! Many that watch one task, on a connection each, from before anything happens to it until its end.

use e2e::{Cluster, Gateway, handler};
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task::JoinSet};
use wire::v1;

pub struct Watchers {
    gateway: Gateway,
    task: String,
    watching: JoinSet<Instant>,
}

impl Watchers {
    /// A task of a handler that nobody has, and so many who watch it; each has heard something of it by then.
    ///
    /// # Panics
    /// If a call fails.
    pub async fn start(cluster: &Cluster, watchers: usize, nobody: &str) -> Self {
        let mut gateway = cluster.client();
        let accepted = gateway.submit_task(handler(nobody, b"")).await.unwrap_or_else(|s| panic!("submit: {s}"));
        let task = accepted.into_inner().task_id;
        let (heard, mut hearing) = mpsc::channel(watchers);
        let mut watching = JoinSet::new();
        for _ in 0..watchers {
            watching.spawn(watch(cluster.client(), task.clone(), heard.clone()));
        }
        for _ in 0..watchers {
            assert!(hearing.recv().await.is_some(), "all of them gave up");
        }
        Self { gateway, task, watching }
    }

    /// Ends the task; gives the time until the last one has seen that.
    ///
    /// # Panics
    /// If one hasn't.
    pub async fn see_the_end(mut self) -> Duration {
        let began = Instant::now();
        let cancel = v1::CancelTaskRequest { task_id: self.task, wait: false };
        self.gateway.cancel_task(cancel).await.unwrap_or_else(|s| panic!("cancel: {s}"));
        let mut last = began;
        while let Some(seen) = self.watching.join_next().await {
            last = last.max(seen.unwrap_or_else(|e| panic!("a watcher: {e}")));
        }
        last - began
    }
}

/// Says when the first event is there; gives the time of the end.
async fn watch(mut gateway: Gateway, task_id: String, heard: mpsc::Sender<()>) -> Instant {
    let request = v1::WatchTaskRequest { task_id, ..Default::default() };
    let mut story = gateway.watch_task(request).await.unwrap_or_else(|s| panic!("watch: {s}")).into_inner();
    while story.message().await.unwrap_or_else(|s| panic!("watch: {s}")).is_some() {
        // There is room for one of each; later ones don't matter.
        let _ = heard.try_send(());
    }
    Instant::now()
}
