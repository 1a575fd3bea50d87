//! What this worker has seen of the store: who is told that a commit happened can say so later (GUARANTEES G12).
//!
//! Must never cost a write a message: what a crash of the machine takes of it is what was seen in the last second.

use crate::data_dir::DataDir;
use std::time::{Duration, Instant};
use wire::v1;

/// It is written down so often at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The store, and its highest commit seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Watermark {
    /// Empty before the first welcome.
    pub store_id: String,
    pub commit: u64,
    /// The epoch in which that was said, and what proves it; empty if it was said by an older scheduler.
    #[serde(default)]
    pub epoch: u64,
    #[serde(default)]
    pub seal: Vec<u8>,
}

/// What has been seen, and what of it is written down.
pub(crate) struct Seen {
    now: Watermark,
    saved: Watermark,
    at: Instant,
}

impl Seen {
    pub fn load(data_dir: &DataDir) -> Self {
        let now = data_dir.watermark();
        Self { saved: now.clone(), now, at: Instant::now() }
    }

    /// A message of the scheduler.
    pub fn heard(&mut self, message: &v1::TaskAssignment) {
        let welcome = message.orders.iter().find_map(|order| match &order.order {
            Some(v1::order::Order::Welcome(welcome)) => Some(welcome),
            Some(_) | None => None,
        });
        if let Some(welcome) = welcome.filter(|welcome| welcome.store_id != self.now.store_id) {
            self.now = Watermark { store_id: welcome.store_id.clone(), ..Watermark::default() };
        }
        if message.commit >= self.now.commit {
            let Watermark { store_id: _, commit, epoch, seal } = &mut self.now;
            (*commit, *epoch) = (message.commit, message.epoch);
            seal.clone_from(&message.seal);
        }
    }

    /// Into a hello.
    pub fn say(&self, hello: v1::WorkerHello) -> v1::WorkerHello {
        let Watermark { store_id, commit, epoch, seal } = self.now.clone();
        v1::WorkerHello { store_id, highest_commit: commit, sealed_epoch: epoch, seal, ..hello }
    }

    /// Writes it down if that is due; `last`: in any case.
    pub fn save(&mut self, data_dir: &DataDir, last: bool) {
        if self.now == self.saved || !last && self.at.elapsed() < SAVE_EVERY {
            return;
        }
        self.at = Instant::now();
        match data_dir.remember_watermark(&self.now) {
            Ok(()) => self.saved = self.now.clone(),
            // This process still knows.
            Err(error) => tracing::warn!(%error, "Cannot remember the store's watermark"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(store: Option<&str>, commit: u64) -> v1::TaskAssignment {
        let welcome = |store: &str| v1::Welcome { store_id: store.into(), ..Default::default() };
        let order = store.map(|store| v1::Order { order: Some(v1::order::Order::Welcome(welcome(store))) });
        v1::TaskAssignment { orders: order.into_iter().collect(), commit, ..Default::default() }
    }

    #[test]
    fn the_highest_commit_of_the_store_is_said_by_the_next_process_too() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        let mut seen = Seen::load(&data_dir);
        let said = |seen: &Seen| {
            let hello = seen.say(v1::WorkerHello::default());
            (hello.store_id, hello.highest_commit)
        };
        assert_eq!(said(&seen), (String::new(), 0));
        for (store, commit) in [(Some("s"), 5), (None, 9), (None, 0), (Some("s"), 7)] {
            seen.heard(&message(store, commit));
        }
        assert_eq!(said(&seen), ("s".into(), 9));
        seen.save(&data_dir, true);
        assert_eq!(said(&Seen::load(&data_dir)), ("s".into(), 9));
        seen.heard(&message(Some("other"), 2));
        assert_eq!(said(&seen), ("other".into(), 2), "another store counts anew");
    }
}
