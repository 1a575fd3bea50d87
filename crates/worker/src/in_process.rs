//! Attempts that run in this process: at most polled once if they are over at once, otherwise one tokio task each.

use crate::{Handler, HandlerContext, handler::HandlerFuture};
use domain::{AttemptId, Exit, Progress, limits};
use futures_util::FutureExt as _;
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Progress on its way to the loop. When full, further progress is dropped: only the latest counts.
const PROGRESS: usize = 1_024;
/// Characters of a handler's error: people read it.
const ERROR_CHARS: usize = 4_000;

/// The end of an attempt in this process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub attempt: AttemptId,
    pub exit: Exit,
    pub result: Vec<u8>,
    pub run_us: u64,
}

/// The attempts of this process. Dropping this drops them.
pub(crate) struct InProcess {
    running: BTreeMap<AttemptId, CancellationToken>,
    tasks: JoinSet<Ended>,
    progress: mpsc::Sender<(AttemptId, Progress)>,
    grace: Duration,
}

type Guarded = Pin<Box<dyn Future<Output = std::thread::Result<Result<Vec<u8>, String>>> + Send>>;

impl InProcess {
    /// Nothing runs. The receiver gets the progress.
    pub fn new(grace: Duration) -> (Self, mpsc::Receiver<(AttemptId, Progress)>) {
        let (progress, receiver) = mpsc::channel(PROGRESS);
        (Self { running: BTreeMap::new(), tasks: JoinSet::new(), progress, grace }, receiver)
    }

    /// Starts an attempt; `Some` if it is over already.
    pub fn start(
        &mut self,
        attempt: AttemptId,
        handler: &dyn Handler,
        payload: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Option<Ended> {
        let cancel = CancellationToken::new();
        let context = HandlerContext { attempt, cancel: cancel.clone(), progress: self.progress.clone() };
        let began = Instant::now();
        let future: HandlerFuture = match std::panic::catch_unwind(AssertUnwindSafe(|| handler.run(context, payload))) {
            Ok(future) => future,
            Err(_) => return Some(ended(attempt, began, Err("panicked".to_owned()))),
        };
        let mut future: Guarded = Box::pin(AssertUnwindSafe(future).catch_unwind());
        // Its task polls it again and leaves the waker that counts.
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(ended(attempt, began, flatten(outcome)));
        }
        self.running.insert(attempt, cancel.clone());
        self.tasks.spawn(supervise(attempt, future, began, cancel, timeout, self.grace));
        None
    }

    /// Asks an attempt to end; after the grace it is dropped. False if it isn't here.
    pub fn kill(&self, attempt: AttemptId) -> bool {
        self.running.get(&attempt).map(CancellationToken::cancel).is_some()
    }

    /// Asks all to end.
    pub fn kill_all(&self) {
        self.running.values().for_each(CancellationToken::cancel);
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The next end; never returns while nothing runs.
    pub async fn next(&mut self) -> Ended {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => return self.over(ended),
                // Panics are caught inside, and nobody aborts.
                Some(Err(error)) => tracing::error!(%error, "A handler's task failed"),
                None => std::future::pending().await,
            }
        }
    }

    /// The next end, if there is one by now.
    pub fn try_next(&mut self) -> Option<Ended> {
        let ended = self.tasks.try_join_next()?.ok()?;
        Some(self.over(ended))
    }

    fn over(&mut self, ended: Ended) -> Ended {
        self.running.remove(&ended.attempt);
        ended
    }
}

async fn supervise(
    attempt: AttemptId,
    mut future: Guarded,
    began: Instant,
    cancel: CancellationToken,
    timeout: Option<Duration>,
    grace: Duration,
) -> Ended {
    let time_out = async {
        match timeout {
            Some(length) => {
                tokio::time::sleep_until((began + length).into()).await;
                Exit::TimedOut(length)
            }
            None => std::future::pending().await,
        }
    };
    let exit = tokio::select! {
        outcome = &mut future => {
            let ended = ended(attempt, began, flatten(outcome));
            // A handler that gives up because it was asked to has been killed; one that finished has finished.
            let obeyed = cancel.is_cancelled() && !ended.exit.success();
            return if obeyed { Ended { exit: Exit::Killed, ..ended } } else { ended };
        }
        () = cancel.cancelled() => Exit::Killed,
        exit = time_out => exit,
    };
    cancel.cancel();
    // What it still answers is not asked for any more.
    let _ = tokio::time::timeout(grace, future).await;
    Ended { attempt, exit, result: Vec::new(), run_us: micros(began) }
}

fn ended(attempt: AttemptId, began: Instant, outcome: Result<Vec<u8>, String>) -> Ended {
    let run_us = micros(began);
    let (exit, result) = match outcome {
        Ok(result) if result.len() > limits::RESULT_BYTES => {
            (Exit::HandlerError(format!("the result is over {} bytes", limits::RESULT_BYTES)), Vec::new())
        }
        Ok(result) => (Exit::Code(0), result),
        Err(why) => (Exit::HandlerError(why.chars().take(ERROR_CHARS).collect()), Vec::new()),
    };
    Ended { attempt, exit, result, run_us }
}

fn flatten(outcome: std::thread::Result<Result<Vec<u8>, String>>) -> Result<Vec<u8>, String> {
    outcome.unwrap_or_else(|_| Err("panicked".to_owned()))
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
