//! Who has how many connections and calls, by address, so that no one address takes what is there for all.
//!
//! Holds an entry for each address with a connection, so it is no larger than the number of connections.

use crate::limits::{CALLS, CALLS_OF_ADDRESS, CONNECTIONS_OF_ADDRESS, FRESH_OF_ADDRESS};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

/// All that are connected to a port.
#[derive(Default)]
pub(crate) struct Peers {
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
    calls: AtomicUsize,
}

/// What one address has. Numbers change under the table's lock only where two of them must agree.
#[derive(Default)]
struct Address {
    open: AtomicUsize,
    fresh: AtomicUsize,
    calls: AtomicUsize,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Guest {
    peers: Arc<Peers>,
    /// `None`: of this machine.
    key: Option<IpAddr>,
    address: Arc<Address>,
    fresh: AtomicBool,
}

/// One call's place; given back when it is dropped.
pub(crate) struct Call(Arc<Guest>);

impl Peers {
    /// Takes a connection in; `None` if its address has too many.
    pub fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Guest> {
        let key = key(from);
        let address = match key {
            None => Arc::default(),
            Some(key) => {
                let mut addresses = self.addresses();
                let address = addresses.entry(key).or_default();
                if address.open.load(Relaxed) >= CONNECTIONS_OF_ADDRESS
                    || address.fresh.load(Relaxed) >= FRESH_OF_ADDRESS
                {
                    return None;
                }
                address.open.fetch_add(1, Relaxed);
                address.fresh.fetch_add(1, Relaxed);
                Arc::clone(address)
            }
        };
        Some(Guest { peers: Arc::clone(self), key, address, fresh: AtomicBool::new(true) })
    }

    /// Nothing that could panic is done with the table in hand.
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Address>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// It has asked something.
    pub fn asked(&self) {
        if self.fresh.swap(false, Relaxed) && self.key.is_some() {
            self.address.fresh.fetch_sub(1, Relaxed);
        }
    }

    /// Whether it has asked something.
    pub fn has_asked(&self) -> bool {
        !self.fresh.load(Relaxed)
    }

    /// Takes a call in; `None` if there are too many.
    pub fn call(self: &Arc<Self>) -> Option<Call> {
        let (all, own) = (&self.peers.calls, &self.address.calls);
        if all.fetch_add(1, Relaxed) >= CALLS {
            all.fetch_sub(1, Relaxed);
            return None;
        }
        if own.fetch_add(1, Relaxed) >= CALLS_OF_ADDRESS && self.key.is_some() {
            own.fetch_sub(1, Relaxed);
            all.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Call(Arc::clone(self)))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        self.asked();
        let mut addresses = self.peers.addresses();
        if self.address.open.fetch_sub(1, Relaxed) == 1 {
            addresses.remove(&key);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.peers.calls.fetch_sub(1, Relaxed);
        self.0.address.calls.fetch_sub(1, Relaxed);
    }
}

/// What counts as one address: of IPv6 the network, because whoever has one has all of it.
fn key(from: IpAddr) -> Option<IpAddr> {
    match from.to_canonical() {
        own if own.is_loopback() => None,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
        v4 @ IpAddr::V4(_) => Some(v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(peers: &Arc<Peers>, from: &str) -> Option<Arc<Guest>> {
        peers.admit(from.parse().unwrap()).map(Arc::new)
    }

    #[test]
    fn an_address_has_its_share_and_others_have_theirs() {
        let peers = Arc::new(Peers::default());
        let mut open = Vec::new();
        while open.len() < CONNECTIONS_OF_ADDRESS {
            let guest = admitted(&peers, "10.0.0.1").unwrap();
            guest.asked();
            open.push(guest);
        }
        assert!(admitted(&peers, "10.0.0.1").is_none());
        assert!(admitted(&peers, "::ffff:10.0.0.1").is_none(), "the same address in other words");
        assert!(admitted(&peers, "10.0.0.2").is_some());
        open.pop();
        assert!(admitted(&peers, "10.0.0.1").is_some());
        open.clear();
        assert!(peers.addresses().is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn who_asks_nothing_gets_no_further_connections() {
        let peers = Arc::new(Peers::default());
        let open: Vec<_> =
            (0..FRESH_OF_ADDRESS).map(|n| admitted(&peers, &format!("2001:db8::{n:x}")).unwrap()).collect();
        assert!(admitted(&peers, "2001:db8::ffff").is_none(), "one network is one address");
        open.iter().for_each(|guest| guest.asked());
        assert!(admitted(&peers, "2001:db8::ffff").is_some());
        let own: Vec<_> = (0..CONNECTIONS_OF_ADDRESS + 1).filter_map(|_| admitted(&peers, "127.0.0.1")).collect();
        assert_eq!(own.len(), CONNECTIONS_OF_ADDRESS + 1, "a proxy on this machine carries everybody");
    }

    #[test]
    fn calls_are_counted_by_address_and_in_all() {
        let peers = Arc::new(Peers::default());
        let mut calls = Vec::new();
        for n in 0..CALLS / CALLS_OF_ADDRESS {
            let guest = admitted(&peers, &format!("10.0.0.{n}")).unwrap();
            calls.extend((0..CALLS_OF_ADDRESS).map(|_| guest.call().unwrap()));
            assert!(guest.call().is_none(), "an address has its share");
        }
        assert!(admitted(&peers, "127.0.0.1").unwrap().call().is_none(), "all are taken");
        calls.pop();
        assert!(admitted(&peers, "127.0.0.1").unwrap().call().is_some());
        calls.clear();
        assert_eq!(peers.calls.load(Relaxed), 0);
    }
}
