//! Attempts that run in this process: at most polled once if they are over at once, otherwise one tokio task each.

use crate::{Handler, HandlerContext, handler::HandlerFuture, traced::Place};
use domain::{AttemptId, Exit, Progress, limits};
use futures_util::FutureExt as _;
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
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
        entry: Option<Arc<str>>,
        place: Place,
        timeout: Option<Duration>,
    ) -> Option<Ended> {
        let cancel = CancellationToken::new();
        let (Place { context: trace, state }, progress) = (place, self.progress.clone());
        let context = HandlerContext { attempt, entry, trace, state, cancel: cancel.clone(), progress };
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
        biased;
        () = cancel.cancelled() => Exit::Killed,
        outcome = &mut future => return ended(attempt, began, flatten(outcome)),
        exit = time_out => exit,
    };
    cancel.cancel();
    match (tokio::time::timeout(grace, future).await, exit) {
        // It finished all the same; whether that counts is the scheduler's to say.
        (Ok(Ok(Ok(result))), Exit::Killed) => ended(attempt, began, Ok(result)),
        (_, exit) => Ended { attempt, exit, result: Vec::new(), run_us: micros(began) },
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AttemptNo, TaskId, TraceContext};

    /// Long enough for anything that is going to happen.
    const LONG: Duration = Duration::from_secs(3_600);

    /// Does what its payload says.
    struct Puppet;

    impl Handler for Puppet {
        fn name(&self) -> &'static str {
            "puppet"
        }
        fn run(&self, context: HandlerContext, payload: Vec<u8>) -> HandlerFuture {
            assert_ne!(payload, b"panic early");
            Box::pin(async move {
                match payload.as_slice() {
                    b"fail" => Err("bad input".to_owned()),
                    b"panic" => panic!("as the test wants"),
                    b"large" => Ok(vec![0; limits::RESULT_BYTES + 1]),
                    b"obey" => {
                        context.cancelled().await;
                        Err("cancelled".to_owned())
                    }
                    b"finish" => {
                        context.cancelled().await;
                        Ok(b"done".to_vec())
                    }
                    b"ignore" => std::future::pending().await,
                    b"later" => {
                        tokio::task::yield_now().await;
                        context.progress(200, &"m".repeat(1_000));
                        Ok(b"later".to_vec())
                    }
                    _ => Ok(payload),
                }
            })
        }
    }

    fn attempt() -> AttemptId {
        AttemptId { task: TaskId::from_parts(1, 0, 0, 0), no: AttemptNo::FIRST }
    }

    fn place() -> Place {
        Place { context: TraceContext::of(attempt()), state: String::new() }
    }

    fn here(grace: Duration) -> (InProcess, mpsc::Receiver<(AttemptId, Progress)>) {
        InProcess::new(grace)
    }

    #[tokio::test]
    async fn what_is_over_at_once_needs_no_task() {
        let error = |text: &str| Exit::HandlerError(text.to_owned());
        let table: [(&[u8], Exit, &[u8]); 5] = [
            (b"echo", Exit::Code(0), b"echo"),
            (b"fail", error("bad input"), b""),
            (b"panic", error("panicked"), b""),
            (b"panic early", error("panicked"), b""),
            (b"large", error("the result is over 1048576 bytes"), b""),
        ];
        for (payload, exit, result) in table {
            let (mut here, _progress) = here(LONG);
            let ended = here.start(attempt(), &Puppet, payload.to_vec(), None, place(), None).expect("it is over");
            assert_eq!((ended.exit, ended.result.as_slice()), (exit, result));
            assert!(here.is_empty());
        }
    }

    #[tokio::test]
    async fn what_takes_longer_is_told_when_it_is_over() {
        let (mut here, mut progress) = here(LONG);
        assert!(here.start(attempt(), &Puppet, b"later".to_vec(), None, place(), Some(LONG)).is_none());
        let ended = here.next().await;
        assert_eq!((ended.exit, ended.result.as_slice()), (Exit::Code(0), b"later".as_slice()));
        let (_, said) = progress.try_recv().unwrap();
        assert_eq!((said.percent, said.message.len()), (100, limits::MESSAGE_CHARS));
        assert!(here.is_empty());
    }

    #[tokio::test]
    async fn a_kill_is_obeyed_outrun_or_enforced() {
        let table: [(&[u8], Duration, Exit); 3] = [
            (b"obey", LONG, Exit::Killed),
            (b"finish", LONG, Exit::Code(0)),
            (b"ignore", Duration::ZERO, Exit::Killed),
        ];
        for (payload, grace, exit) in table {
            let (mut here, _progress) = here(grace);
            assert!(here.start(attempt(), &Puppet, payload.to_vec(), None, place(), None).is_none());
            assert!(here.kill(attempt()));
            assert_eq!(here.next().await.exit, exit, "{:?}", String::from_utf8_lossy(payload));
        }
        let (here, _progress) = here(LONG);
        assert!(!here.kill(attempt()), "nobody is here");
    }

    #[tokio::test]
    async fn a_timeout_ends_what_ignores_it() {
        let (mut here, _progress) = here(Duration::ZERO);
        let limit = Duration::from_millis(1);
        assert!(here.start(attempt(), &Puppet, b"ignore".to_vec(), None, place(), Some(limit)).is_none());
        assert_eq!(here.next().await.exit, Exit::TimedOut(limit));
    }
}
