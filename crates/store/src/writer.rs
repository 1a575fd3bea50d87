//! A thread that works on the store: jobs go in over a bounded queue and are done one after the other. Whoever knows that none
//! is under way may do one himself, which saves the way to the thread and back.
//!
//! Must never reorder jobs: a look-up sees what was handed over before it (PROTOCOL P4).

use crate::Store;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::{io, thread, thread::JoinHandle};

/// Jobs that wait at most. The driver has one commit and one look-up under way; a full queue blocks the caller.
const JOBS: usize = 64;

type Job = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// The thread. Dropped, it does what was handed over and ends.
pub struct Writer {
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    store: Arc<Mutex<Box<dyn Store>>>,
}

/// The writer's thread is gone: a job panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gone;

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: Box<dyn Store>) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(JOBS);
        let store = Arc::new(Mutex::new(store));
        let worked_on = Arc::clone(&store);
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || work(&worked_on, &queue))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), store })
    }

    /// Does a job on the caller's thread. Those that were handed over and aren't begun yet come after it.
    ///
    /// # Errors
    /// [`Gone`]: the job was not and will not be done.
    pub fn run<T>(&self, job: impl FnOnce(&mut dyn Store) -> T) -> Result<T, Gone> {
        self.store.lock().map(|mut store| job(store.as_mut())).map_err(|_| Gone)
    }

    /// Hands a job over. It answers by whatever it captured.
    ///
    /// # Errors
    /// [`Gone`]: the job was not and will not be done.
    pub fn submit(&self, job: impl FnOnce(&mut dyn Store) + Send + 'static) -> Result<(), Gone> {
        self.jobs.as_ref().ok_or(Gone)?.send(Box::new(job)).map_err(|_| Gone)
    }
}

fn work(store: &Mutex<Box<dyn Store>>, queue: &Receiver<Job>) {
    for job in queue {
        // Nothing is done with a store that a job has left in the middle.
        let Ok(mut store) = store.lock() else { return };
        job(store.as_mut());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened; the store is closed either way.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Opened, memory::MemoryStore};
    use std::sync::mpsc::channel;

    #[test]
    fn jobs_are_done_in_order_and_all_before_it_ends() {
        let writer = Writer::start(Box::new(MemoryStore::new())).unwrap();
        let (answers, answered) = channel();
        for _ in 0..200 {
            let answers = answers.clone();
            writer.submit(move |store| drop(answers.send(store.begin()))).unwrap();
        }
        drop((writer, answers));
        let epochs: Vec<u64> = answered.iter().map(|opened: Result<Opened, _>| opened.unwrap().epoch.0).collect();
        assert_eq!(epochs, (1..=200).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_is_done_here_and_one_that_is_handed_over_work_on_the_same_store() {
        let writer = Writer::start(Box::new(MemoryStore::new())).unwrap();
        let (answers, answered) = channel();
        let epoch = |opened: Result<Opened, _>| opened.unwrap().epoch.0;
        assert_eq!(epoch(writer.run(|store| store.begin()).unwrap()), 1);
        writer.submit(move |store| drop(answers.send(store.begin()))).unwrap();
        assert_eq!(epoch(answered.recv().unwrap()), 2);
        assert_eq!(epoch(writer.run(|store| store.begin()).unwrap()), 3);
    }

    #[test]
    fn after_a_job_that_panicked_none_is_done() {
        let writer = Writer::start(Box::new(MemoryStore::new())).unwrap();
        writer.submit(|_| panic!("a job's own")).unwrap();
        let (answers, answered) = channel::<()>();
        // Whether it is still taken is up to when the thread ends.
        let _ = writer.submit(move |_| {
            let _ = answers.send(());
        });
        assert!(answered.recv().is_err());
        assert_eq!(writer.run(|_| ()), Err(Gone));
    }
}
