//! What a service still waits for, and where it listens: the one source of /readyz, of the gRPC health service and of
//! `healthy`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Shared by the parts of a service; each names what it waits for and takes it back.
#[derive(Clone, Debug)]
pub struct Readiness {
    waits: Arc<watch::Sender<BTreeMap<&'static str, String>>>,
    listening: Arc<Mutex<BTreeMap<&'static str, SocketAddr>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { waits: Arc::new(watch::Sender::new(BTreeMap::new())), listening: Arc::default() }
    }
}

impl Readiness {
    /// The service can't do its job because of `name`; `text` says more, for people.
    pub fn waiting(&self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.waits.send_if_modified(|waits| waits.insert(name, text.clone()).as_ref() != Some(&text));
    }

    /// `name` is no obstacle any more.
    pub fn done(&self, name: &'static str) {
        self.waits.send_if_modified(|waits| waits.remove(name).is_some());
    }

    /// Whether nothing is waited for.
    pub fn is_ready(&self) -> bool {
        self.waits.borrow().is_empty()
    }

    /// What is waited for, with its text.
    pub fn waits(&self) -> Vec<(&'static str, String)> {
        self.waits.borrow().iter().map(|(name, text)| (*name, text.clone())).collect()
    }

    /// The service answers this protocol at this address.
    pub(crate) fn listens(&self, protocol: &'static str, addr: SocketAddr) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).insert(protocol, addr);
    }

    /// Where the service answers, by protocol: real ports, also where 0 was asked for.
    pub(crate) fn listening(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<BTreeMap<&'static str, String>> {
        self.waits.subscribe()
    }
}
