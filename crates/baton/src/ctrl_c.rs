//! Ctrl-C during `run`: the first cancels the task, the second leaves it alone.
//!
//! On a thread of its own, so that a stdout that nobody reads doesn't make Ctrl-C deaf.

use crate::{exit::ExitStatus, failure::Failure, printer};
use client::Client;
use std::{io, sync::mpsc, thread};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The running watch for Ctrl-C.
pub struct Interrupts {
    task: watch::Sender<Option<String>>,
}

impl Interrupts {
    /// From now on it is known which task is meant.
    pub fn task_is(&self, id: &str) {
        self.task.send_replace(Some(id.to_owned()));
    }
}

/// Takes over SIGINT and SIGTERM. Before the task is known they wait for it.
pub fn cancel_on_ctrl_c(gateway: &Client) -> Result<Interrupts, Failure> {
    let (task, known) = watch::channel(None);
    let (ready, is_ready) = mpsc::sync_channel(1);
    let gateway = gateway.clone();
    thread::spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        runtime.block_on(async {
            match Signals::new() {
                Ok(signals) => {
                    // The other side waits for exactly this message.
                    let _ = ready.send(Ok(()));
                    attend(signals, &gateway, known).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    });
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Interrupts { task }),
        Ok(Err(error)) => Err(Failure::error(format!("cannot follow signals: {error}"))),
        Err(_) => Err(Failure::error("cannot follow signals")),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn attend(mut signals: Signals, gateway: &Client, known: watch::Receiver<Option<String>>) {
    signals.next().await;
    printer::note("baton: cancelling; once more leaves the task to itself");
    let cancelled = async {
        if let Err(failure) = cancel(gateway, known).await {
            failure.show();
        }
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = cancelled => {}
        () = signals.next() => std::process::exit(i32::from(ExitStatus::Cancelled.code())),
    }
}

async fn cancel(gateway: &Client, mut known: watch::Receiver<Option<String>>) -> Result<(), Failure> {
    // Fails only when the process is about to end anyway.
    let Ok(id) = known.wait_for(Option::is_some).await.map(|id| id.clone().unwrap_or_default()) else { return Ok(()) };
    // The end itself arrives on the stream of the task's story.
    // A connection of this thread's own: the other one's is served by the other thread.
    gateway.another()?.cancel(&id, false).await?;
    Ok(())
}
