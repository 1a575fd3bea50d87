//! The gap: what somebody remembers of the store, and the store doesn't have (GUARANTEES G12).
//!
//! A store that lost acknowledged commits must not schedule: it would run again what has run, and answer "no such task" for
//! what was accepted. It waits until an operator accepts the loss, by the number of the commit that the store stands at.

use domain::{Commit, Epoch, Error, Kind, UnixMillis, WorkerId};
use std::sync::{Arc, PoisonError, RwLock};
use store::{Loss, Opened, Watermark};

/// Why nothing is scheduled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gap {
    /// The commit that the store stands at: the number that accepts the loss.
    pub at: Commit,
    /// What is known of it.
    pub why: String,
}

impl Gap {
    /// What the store itself knows, when it is opened.
    pub fn of(opened: &Opened) -> Option<Self> {
        let at = opened.commit;
        if let Some(from) = &opened.restored {
            let text =
                format!("the store was restored from a backup ({from}): what was acknowledged later is not in it");
            return Some(Self { at, why: text });
        }
        let remembered = opened.remembered.as_ref()?;
        let Watermark { store_id, epoch, commit } = remembered;
        if *store_id != opened.store_id {
            let text = format!("the store is {}, but its directory was that of {store_id}", opened.store_id);
            return Some(Self { at, why: text });
        }
        // Taking an epoch is what opening does: the store's last one was the one before.
        let last = Epoch(opened.epoch.0.saturating_sub(1));
        behind(at, last, *epoch, *commit).map(|text| Self { at, why: format!("the data directory remembers {text}") })
    }

    /// What a worker remembers.
    pub fn told(at: Commit, epoch: Epoch, worker: &WorkerId, remembered: &Watermark) -> Option<Self> {
        behind(at, epoch, remembered.epoch, remembered.commit)
            .map(|text| Self { at, why: format!("worker {worker} remembers {text}") })
    }

    /// For callers, logs and /readyz.
    pub fn text(&self) -> String {
        let Self { at, why } = self;
        format!(
            "the store has lost what was acknowledged: {why}. Nothing is scheduled until the newest data is put back, or \
             the scheduler is started once with --accept-data-loss {}",
            at.0
        )
    }

    /// What a caller gets.
    pub fn error(&self) -> Error {
        Error::new(Kind::DataLoss, self.text())
    }
}

fn behind(at: Commit, last: Epoch, epoch: Epoch, commit: Commit) -> Option<String> {
    if commit > at {
        return Some(format!("commit {}, the store ends at {}", commit.0, at.0));
    }
    (epoch > last).then(|| format!("epoch {}, the store ends at {}", epoch.0, last.0))
}

/// What a caller hears who asks for what only an opened store can tell.
pub(crate) const NOT_OPEN: &str = "the scheduler's store is not open yet";
/// The metadata that brings a receipt.
const RECEIPT: &str = "baton-receipt";

/// What has been acknowledged so far, for receipts. Written by the loop, read by every call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipts(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    mark: Option<Watermark>,
    losses: Vec<Loss>,
}

impl Receipts {
    /// A reign begins.
    pub fn begin(&self, opened: &Opened) {
        let Opened { store_id, epoch, commit, remembered: _, restored: _, losses, seal: _ } = opened;
        let mark = Watermark { store_id: store_id.clone(), epoch: *epoch, commit: *commit };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known { mark: Some(mark), losses: losses.clone() };
    }

    /// This is durable, and nobody has been told yet.
    pub fn committed(&self, commit: Commit) {
        if let Some(mark) = &mut self.0.write().unwrap_or_else(PoisonError::into_inner).mark {
            mark.commit = mark.commit.max(commit);
        }
    }

    /// What stands for everything acknowledged until now: `<store>.<commit>`, opaque to others.
    pub fn now(&self) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.mark.as_ref().map_or_else(String::new, |mark| format!("{}.{}", mark.store_id, mark.commit.0))
    }

    /// Lets a call pass whose receipt, if it brings one, stands for what the store has.
    ///
    /// # Errors
    /// As [`Receipts::check`].
    #[allow(clippy::result_large_err, reason = "tonic's interceptors answer so")]
    pub fn checked(&self, call: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        match call.metadata().get(RECEIPT).map(|receipt| receipt.to_str()) {
            None => {}
            Some(receipt) => self.check(receipt.unwrap_or_default()).map_err(|error| wire::status(&error))?,
        }
        Ok(call)
    }

    /// Whether the store has what a caller was told.
    ///
    /// # Errors
    /// [`Kind::DataLoss`] if it hasn't; [`Kind::Unavailable`] before the store was opened: nobody knows then;
    /// [`Kind::Invalid`] if that is no receipt.
    pub fn check(&self, receipt: &str) -> Result<(), Error> {
        let parted = receipt.rsplit_once('.').and_then(|(store, commit)| Some((store, commit.parse::<u64>().ok()?)));
        let (store, commit) = parted.ok_or_else(|| Error::field("baton-receipt", "is no receipt of a task"))?;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mark = known.mark.as_ref().ok_or_else(|| Error::unavailable(NOT_OPEN))?;
        let lost = |text: String| Err(Error::new(Kind::DataLoss, text));
        if *mark.store_id != *store {
            return lost(format!("the receipt is of store {store}, this is {}", mark.store_id));
        }
        if commit > mark.commit.0 {
            return lost(format!("the receipt is of commit {commit}, the store ends at {}", mark.commit.0));
        }
        match known.losses.iter().find(|loss| commit > loss.after.0 && commit <= loss.upto.0) {
            Some(Loss { after, at: UnixMillis(at), .. }) => lost(format!(
                "commit {commit} is lost: an operator accepted, at {at} ms, that the store ended at {}",
                after.0
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u64, commit: u64) -> Watermark {
        Watermark { store_id: "s".into(), epoch: Epoch(epoch), commit: Commit(commit) }
    }

    fn opened(epoch: u64, commit: u64, remembered: Option<Watermark>) -> Opened {
        let (restored, losses, seal) = (None, Vec::new(), store::SealKey([0; 32]));
        Opened { store_id: "s".into(), epoch: Epoch(epoch), commit: Commit(commit), remembered, restored, losses, seal }
    }

    #[test]
    fn a_store_that_is_behind_in_either_number_is_told_apart_from_one_that_is_not() {
        let table = [
            (None, false),
            (Some(mark(4, 100)), false),
            (Some(mark(3, 7)), false),
            (Some(mark(4, 101)), true),
            (Some(mark(5, 100)), true),
            (Some(Watermark { store_id: "other".into(), ..mark(1, 1) }), true),
        ];
        for (remembered, gap) in table {
            let found = Gap::of(&opened(5, 100, remembered.clone()));
            assert_eq!(found.is_some(), gap, "{remembered:?}");
            if let Some(gap) = found {
                assert!(gap.text().contains("--accept-data-loss 100"), "{}", gap.text());
            }
        }
        let restored = Opened { restored: Some("yesterday's".into()), ..opened(5, 100, None) };
        assert!(Gap::of(&restored).unwrap().text().contains("yesterday's"));
    }

    #[test]
    fn a_receipt_counts_until_what_it_stands_for_is_lost_and_names_the_loss_ever_after() {
        let receipts = Receipts::default();
        assert_eq!(receipts.now(), "");
        assert_eq!(receipts.check("s.9").unwrap_err().kind(), Kind::Unavailable, "nobody knows yet");
        let loss = Loss { after: Commit(50), upto: Commit(90), at: UnixMillis(7) };
        receipts.begin(&Opened { losses: vec![loss], ..opened(5, 100, None) });
        receipts.committed(Commit(101));
        assert_eq!(receipts.now(), "s.101");
        for good in ["s.1", "s.50", "s.91", "s.101"] {
            assert_eq!(receipts.check(good), Ok(()), "{good}");
        }
        for lost in ["s.102", "other.1", "s.51", "s.90"] {
            assert_eq!(receipts.check(lost).unwrap_err().kind(), Kind::DataLoss, "{lost}");
        }
        assert_eq!(receipts.check("nonsense").unwrap_err().kind(), Kind::Invalid);
    }
}
