//! The rest between two reigns. Callers don't wait for a store that can't be opened: they are told.
//!
//! Must never tell a caller that nothing was done if an earlier try of his may have been carried out.

use crate::mailbox::Message;
use domain::{Error, Kind};
use service::Stopping;
use std::time::Duration;
use store::Failure;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The first rest: who calls meanwhile waits and sees nothing of it.
const FIRST: Duration = Duration::from_millis(200);
/// The longest: a full disk or a broken one isn't hammered, and one that has healed is used soon.
const LONGEST: Duration = Duration::from_secs(5);
/// One line in so many failures: a full disk lasts for hours, and its log may stand on it.
const SAY_EVERY: u32 = 12;

/// How long the next rest is: twice as long as the last.
#[derive(Default)]
pub(crate) struct Pause {
    failures: u32,
}

impl Pause {
    pub fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        pause.min(LONGEST)
    }

    /// Says that the store can't be opened, now and then.
    pub fn say(&self, failure: &Failure) {
        if self.failures.is_multiple_of(SAY_EVERY) {
            tracing::error!(error = %failure, failures = self.failures, "Store cannot be opened; trying again");
        }
    }
}

/// Rests so long, or until the stop; with a reason, callers are answered meanwhile. False: it is time to stop.
pub(crate) async fn rest(
    messages: &mut mpsc::Receiver<Message>,
    stopping: &Stopping,
    pause: Option<Duration>,
    why: Option<&Error>,
) -> bool {
    let until = pause.map(|pause| Instant::now() + pause);
    loop {
        tokio::select! {
            biased;
            () = stopping.requested() => return false,
            () = async { match until { Some(until) => sleep_until(until).await, None => std::future::pending().await } } => return true,
            message = messages.recv(), if why.is_some() => match (message, why) {
                (Some(message), Some(why)) => refuse(message, why),
                (None, _) | (_, None) => return false,
            },
        }
    }
}

/// Answers whoever waits. Nobody listens if he has gone.
fn refuse(message: Message, why: &Error) {
    match message {
        Message::Submit { repeated, reply, .. } => {
            // The try before this one may be in the store that can't be opened.
            let why = if repeated { Error::new(Kind::Unknown, why.text()) } else { why.clone() };
            drop(reply.send(Err(why)));
        }
        Message::Cancel { tasks, reply } => drop(reply.send(tasks.iter().map(|_| Err(why.clone())).collect())),
        Message::Drain { reply, .. } | Message::Forget { reply, .. } => drop(reply.send(Err(why.clone()))),
        Message::Pause { reply, .. } | Message::KeepToken { reply, .. } => drop(reply.send(Err(why.clone()))),
        Message::Open { to, .. } => drop(to.try_send(Err(wire::status(why)))),
        // Of streams that are refused, and of output, which is found in its store.
        Message::Hello { .. } | Message::Update { .. } | Message::Legacy { .. } => {}
        Message::Closed { .. } | Message::Stored { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn rests_grow_up_to_a_bound() {
        let mut pause = Pause::default();
        let rests: Vec<u128> = (0..7).map(|_| pause.next().as_millis()).collect();
        assert_eq!(rests, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[tokio::test]
    async fn callers_are_answered_and_repeated_calls_stay_in_doubt() {
        let (to, mut messages) = mpsc::channel(8);
        let submit = |repeated| {
            let (reply, answer) = oneshot::channel();
            let submit = Message::Submit { tasks: Vec::new(), repeated, brief: false, reply };
            to.try_send(submit).unwrap();
            answer
        };
        let (first, again) = (submit(false), submit(true));
        let (reply, cancelled) = oneshot::channel();
        to.send(Message::Cancel { tasks: vec![domain::TaskId::default()], reply }).await.unwrap();
        let stopping = Stopping::new();
        let full = Error::new(Kind::Exhausted, "full");
        let resting = rest(&mut messages, &stopping, None, Some(&full));
        let kind = |result: domain::Result<Vec<engine::Accepted>>| result.unwrap_err().kind();
        let answers = async {
            let kinds = (kind(first.await.unwrap()), kind(again.await.unwrap()));
            let cancelled = cancelled.await.unwrap();
            stopping.request();
            (kinds, cancelled)
        };
        let (go_on, (kinds, cancelled)) = tokio::join!(resting, answers);
        assert!(!go_on);
        assert_eq!(kinds, (Kind::Exhausted, Kind::Unknown));
        assert_eq!(cancelled, [Err(full)]);
    }
}
