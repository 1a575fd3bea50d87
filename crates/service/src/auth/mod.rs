//! Who may call what: tokens, the scopes that routes need, and what becomes of calls that have none of it.
//!
//! Must never let anything pass that has no row, and never show or keep a secret. Off, it isn't there at all.

mod answer;
mod audit;
mod bearer;
mod guard;
mod invitation;
mod pace;
mod rows;
mod secret;
mod table;

pub use audit::{Audit, Note};
pub use bearer::Bearer;
pub use guard::{Guarded, guarded};
pub use invitation::Invitation;
pub use rows::{EVERYWHERE, Need, Row};
pub use secret::Secret;
pub use table::Caller;

use crate::{Peer, PeerName};
use answer::Refused;
use axum::http::{HeaderMap, header};
use domain::{Scope, Token, TokenId, UnixMillis};
use pace::{Paces, Rate};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use table::Table;

/// Calls with a wrong token, or none, that one address may make in a second; more of them are refused unread and unlogged.
const FAILURES_PER_SECOND: u32 = 50;
/// Addresses whose failures are counted one by one.
const ADDRESSES: usize = 10_000;
/// So often is looked whether tokens have expired: their streams end that late at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whether callers have to say who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum AuthMode {
    /// Whoever reaches the port may do everything: for loopback.
    #[default]
    Off,
    /// Every call needs a token, on loopback too.
    Tokens,
}

/// Says what is counted at a gate and in its audit log, from 0 on, also where callers needn't say who they are.
pub fn begin() {
    // It may be asked for before any port is taken, which is where counting begins otherwise.
    crate::metrics::handle();
    metrics::describe_counter!("baton_calls_refused_total", "Calls refused for who made them");
    metrics::counter!("baton_calls_refused_total", "reason" => "unauthenticated").increment(0);
    metrics::describe_counter!("baton_audit_lines_dropped_total", "Lines that the audit log lacks");
    metrics::counter!("baton_audit_lines_dropped_total").increment(0);
}

/// The gate of a service. Clones share it; the default one is off and lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct Gate(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    /// `None` until somebody has told what tokens there are.
    table: RwLock<Option<Arc<Table>>>,
    failures: Mutex<Paces<IpAddr>>,
    /// Calls of each token, if they are limited.
    calls: Option<Mutex<Paces<TokenId>>>,
    began: Instant,
    audit: Option<Audit>,
}

impl Gate {
    /// A gate that is shut until it is told the tokens. Each token may make so many calls in a second.
    pub fn new(calls_per_second: Option<u32>, audit: Option<Audit>) -> Self {
        Self(Some(Arc::new(Inner {
            table: RwLock::default(),
            failures: Mutex::new(Paces::new(Rate::per_second(FAILURES_PER_SECOND), ADDRESSES)),
            calls: calls_per_second.map(|n| Mutex::new(Paces::new(Rate::per_second(n), domain::limits::TOKENS))),
            began: Instant::now(),
            audit,
        })))
    }

    /// Whether callers have to say who they are.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// These are the tokens from now on. Streams of those that are gone or revoked end.
    pub fn set(&self, tokens: &[Token]) {
        let Some(inner) = &self.0 else { return };
        let mut table = inner.table.write().unwrap_or_else(PoisonError::into_inner);
        let next = Table::following(table.as_deref(), tokens, now());
        *table = Some(Arc::new(next));
    }

    /// Ends the streams of tokens when they expire. Never returns.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(table) = self.0.as_ref().and_then(|inner| inner.table()) {
                table.end_expired(now());
            }
        }
    }
}

impl Inner {
    fn table(&self) -> Option<Arc<Table>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who calls, if the call may be made; nobody in particular if it is open to all.
    fn admit(&self, need: Need, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Option<Caller>, Refused> {
        if need == Need::Open {
            return Ok(None);
        }
        let caller = self.caller(headers, peer).map_err(|refused| self.counted(refused, peer))?;
        if let Some(scope) = need.scopes().find(|scope| !caller.may(*scope)) {
            return Err(Refused::missing(scope, &caller));
        }
        if let (Some(calls), Some(token)) = (&self.calls, caller.token()) {
            let paced = calls.lock().unwrap_or_else(PoisonError::into_inner).take(token, self.began.elapsed());
            paced.map_err(Refused::TooMany)?;
        }
        Ok(Some(caller))
    }

    /// A token that is brought counts alone; without one, the certificate says who it is.
    fn caller(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Refused> {
        let mut brought = headers.get_all(header::AUTHORIZATION).iter();
        match (brought.next(), brought.next()) {
            (Some(_), Some(_)) => return Err(Refused::Unauthenticated("more than one authorization was sent")),
            (Some(brought), None) => {
                let table = self.table().ok_or(Refused::Unready)?;
                let text = brought.to_str().ok().and_then(bearer).ok_or(Refused::Unauthenticated(WRONG))?;
                return table.find(text, now()).map_err(Refused::Unauthenticated);
            }
            (None, _) => {}
        }
        match peer.and_then(|peer| peer.name.as_ref()) {
            Some(PeerName::Service(name)) => Ok(Caller::certified("service", name, Scope::Service, false)),
            Some(PeerName::Worker(id)) => {
                // It may have been shut out, which only the table knows.
                let table = self.table().ok_or(Refused::Unready)?;
                table.worker(id, peer.and_then(|peer| peer.key)).map_err(Refused::Unauthenticated)
            }
            None => Err(Refused::Unauthenticated(MISSING)),
        }
    }

    /// A failure more of this address: too many of them aren't worth a line each.
    fn counted(&self, refused: Refused, peer: Option<&Peer>) -> Refused {
        if !matches!(refused, Refused::Unauthenticated(_)) {
            return refused;
        }
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.addr.ip());
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.take(address, self.began.elapsed()).map_or_else(Refused::Unread, |()| refused)
    }

    /// What a token is called.
    fn name(&self, token: TokenId) -> Option<Arc<str>> {
        self.table().and_then(|table| table.name(token))
    }
}

const MISSING: &str = "a token is needed: send `authorization: Bearer baton_…`";
const WRONG: &str = "the token is not valid";

/// What stands behind `Bearer`, whose case doesn't matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, text) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// By this machine's clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
