//! What a service still waits for: the one source of /readyz, of the gRPC health service and of `healthy`.

use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// Shared by the parts of a service; each names what it waits for and takes it back.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<&'static str, String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Readiness {
    /// The service can't do its job because of `name`; `text` says more, for people.
    pub fn waiting(&self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.0.send_if_modified(|waits| waits.insert(name, text.clone()).as_ref() != Some(&text));
    }

    /// `name` is no obstacle any more.
    pub fn done(&self, name: &'static str) {
        self.0.send_if_modified(|waits| waits.remove(name).is_some());
    }

    /// Whether nothing is waited for.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What is waited for, with its text.
    pub fn waits(&self) -> Vec<(&'static str, String)> {
        self.0.borrow().iter().map(|(name, text)| (*name, text.clone())).collect()
    }

    /// Learns of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<BTreeMap<&'static str, String>> {
        self.0.subscribe()
    }
}
