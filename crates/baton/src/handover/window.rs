//! Carries batches to the gateway, a few calls at a time, and says what became of each of them.

use super::{
    batch::{Batch, plural},
    repeat::{Refusal, submit_batch},
};
use crate::{exit::ExitStatus, failure::Failure, printer};
use client::Client;
use std::{collections::VecDeque, io};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use wire::v1::TaskAccepted;

/// Calls under way at once: enough that gateway and scheduler never wait for the next one.
const CALLS: usize = 8;
/// Batches read ahead of them. When it is full, the reader waits.
const AHEAD: usize = 2;

/// What reads a file and cuts it into batches, on a thread of its own.
pub trait Reading: Send + 'static {
    /// Reads it all. Batches that nobody takes any more end it.
    fn read(self, to: &mpsc::Sender<Batch>) -> Result<(), Failure>;
}

/// Sends all that is read. Says of each batch what was accepted, in the order of the file.
pub async fn send_all(
    gateway: &Client,
    reading: impl Reading,
    accepted: impl FnMut(&[TaskAccepted]) -> io::Result<()>,
) -> Result<ExitStatus, Failure> {
    let (to, batches) = mpsc::channel(AHEAD);
    let (done, read) = oneshot::channel();
    // Not a task of the runtime, which would wait for it at its end: stdin may say nothing for ever.
    std::thread::spawn(move || {
        let read = reading.read(&to);
        // Told before the channel of batches ends, so that no batch behind a mistake is taken for the last.
        drop(done.send(read));
    });
    let mut window = Window { gateway: gateway.clone(), calls: VecDeque::new(), accepted, books: Books::default() };
    let interrupted = window.run(batches, read).await;
    window.books.close(interrupted)
}

struct Window<F> {
    gateway: Client,
    calls: VecDeque<Call>,
    accepted: F,
    books: Books,
}

struct Call {
    place: String,
    part: &'static str,
    first: u64,
    parts: u64,
    answer: JoinHandle<Result<Vec<TaskAccepted>, Refusal>>,
}

impl<F: FnMut(&[TaskAccepted]) -> io::Result<()>> Window<F> {
    /// Until all is answered, or nothing more is to be sent and all that was is answered. True after Ctrl-C.
    async fn run(
        &mut self,
        mut batches: mpsc::Receiver<Batch>,
        mut read: oneshot::Receiver<Result<(), Failure>>,
    ) -> bool {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let (mut open, mut reading, mut interrupted) = (true, true, false);
        while open || !self.calls.is_empty() {
            tokio::select! {
                biased;
                _ = &mut interrupt, if !interrupted => (open, interrupted) = (false, true),
                result = &mut read, if open && reading => {
                    reading = false;
                    if let Err(failure) = result.unwrap_or_else(|_| Err(Failure::error("the reader failed"))) {
                        self.books.failures.push(failure);
                        open = false;
                    }
                }
                answer = front(&mut self.calls), if !self.calls.is_empty() => {
                    if let Some(call) = self.calls.pop_front() && !self.settle(&call, answer) {
                        open = false;
                    }
                }
                batch = batches.recv(), if open && self.calls.len() < CALLS => match batch {
                    Some(batch) => self.send(batch),
                    // Its result is there already, or on its way.
                    None => open = reading,
                },
            }
        }
        interrupted
    }

    fn send(&mut self, batch: Batch) {
        let (gateway, met) = (self.gateway.clone(), self.books.tasks > 0);
        let (place, part, first, parts) = (batch.place(), batch.part, batch.first, batch.parts);
        let answer = tokio::spawn(async move { submit_batch(&gateway, &batch, met).await });
        self.calls.push_back(Call { place, part, first, parts, answer });
    }

    /// Writes down how a call ended. False: nothing more is to be sent.
    fn settle(&mut self, call: &Call, answer: Result<Vec<TaskAccepted>, Refusal>) -> bool {
        match answer {
            Ok(accepted) => {
                self.books.part = call.part;
                self.books.tasks += accepted.len() as u64;
                self.books.parts += call.parts;
                match (self.accepted)(&accepted) {
                    Ok(()) => true,
                    // The tasks are what was asked for; whoever read their ids has seen enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
                    Err(error) => {
                        self.books.failures.push(error.into());
                        false
                    }
                }
            }
            Err(refusal) => {
                self.books.doubt |= refusal.doubt;
                self.books.failures.push(refused(call, refusal));
                false
            }
        }
    }
}

/// The answer to the oldest call.
async fn front(calls: &mut VecDeque<Call>) -> Result<Vec<TaskAccepted>, Refusal> {
    match calls.front_mut() {
        Some(call) => (&mut call.answer).await.unwrap_or_else(|error| {
            let error = domain::Error::internal(format!("the call failed: {error}")).into();
            Err(Refusal { error, doubt: true })
        }),
        None => std::future::pending().await,
    }
}

/// Names the place in the file, not that in the call.
fn refused(call: &Call, refusal: Refusal) -> Failure {
    let Refusal { error, doubt } = refusal;
    let text = error.to_string();
    if doubt {
        return Failure::error(format!("it is not known whether {} were accepted: {text}", call.place));
    }
    let named = text.strip_prefix("tasks[").and_then(|rest| rest.split_once("]."));
    let named = named.and_then(|(at, rest)| Some((call.first + at.parse::<u64>().ok()?, rest)));
    let text = match named {
        Some((number, rest)) => format!("{} {number}: {rest}", call.part),
        None => format!("{}: {text}", call.place),
    };
    Failure::from(error).saying(text)
}

/// What became of the file.
#[derive(Default)]
struct Books {
    part: &'static str,
    tasks: u64,
    /// Entries or lines that the accepted tasks stand for.
    parts: u64,
    /// Of some call it is not known whether it was carried out.
    doubt: bool,
    failures: Vec<Failure>,
}

impl Books {
    fn close(self, interrupted: bool) -> Result<ExitStatus, Failure> {
        let Self { part, tasks, parts, doubt, mut failures } = self;
        if failures.is_empty() && !interrupted {
            return Ok(ExitStatus::Success);
        }
        let last = failures.pop();
        for failure in &failures {
            failure.show();
        }
        let so_far = match parts {
            0 => "nothing was accepted".to_owned(),
            1 => format!("1 {part} was accepted, and nothing else"),
            _ => format!("{parts} {} were accepted, as {tasks} task(s), and nothing else", plural(part)),
        };
        let certain = if doubt { ", as far as is known" } else { "" };
        printer::note(&format!("note: {so_far}{certain}"));
        if doubt {
            printer::note(
                "hint: with --key a command that broke off can be given again, and nothing is accepted twice",
            );
        }
        match last {
            Some(failure) => Err(failure),
            None => Ok(ExitStatus::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Kind;

    fn call() -> Call {
        let answer = tokio::spawn(async { Ok(Vec::new()) });
        Call { place: "entries 11 to 20".into(), part: "entry", first: 11, parts: 10, answer }
    }

    #[tokio::test]
    async fn a_refusal_names_the_entry_of_the_file() {
        let refusal = |text: &str, doubt| {
            let error = client::Error::Answer(domain::Error::new(Kind::Invalid, text));
            refused(&call(), Refusal { error, doubt }).text().to_owned()
        };
        assert_eq!(refusal("tasks[3].name: must not be empty", false), "entry 14: name: must not be empty");
        assert_eq!(refusal("too much", false), "entries 11 to 20: too much");
        assert_eq!(refusal("gone", true), "it is not known whether entries 11 to 20 were accepted: gone");
    }
}
