//! The tokens there are, and who a token makes its bearer.

use super::{WRONG, secret};
use domain::{Enrolment, Scope, Scopes, Token, TokenId, UnixMillis};
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::CancellationToken;

const REVOKED: &str = "the token was revoked";
const SHUT_OUT: &str = "the token by which this worker joined was revoked";
const EXPIRED: &str = "the token has expired";
/// Compared with when nothing is found, so that it takes as long.
const NO_HASH: [u8; 32] = [0; 32];

/// Who calls. In the extensions of every request that needed a scope.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Who>);

#[derive(Debug)]
struct Who {
    /// `token:<id>`, `service:<name>` or `worker:<id>`, in printable ASCII.
    text: String,
    token: Option<TokenId>,
    scopes: Scopes,
    queue: Option<String>,
    worker: Option<String>,
    /// Cancelled when it is good for nothing any more.
    ends: CancellationToken,
}

impl Caller {
    fn of(token: &Token) -> Self {
        let Token { id, name: _, hash: _, scopes, queue, worker, created: _, expires: _, revoked: _, enrolled: _ } =
            token;
        Self(Arc::new(Who {
            text: format!("token:{id}"),
            token: Some(*id),
            scopes: *scopes,
            queue: queue.clone(),
            worker: worker.clone(),
            ends: CancellationToken::new(),
        }))
    }

    /// Whom a certificate names.
    pub(super) fn certified(sort: &str, name: &str, scope: Scope, bound: bool) -> Self {
        Self(Arc::new(Who {
            text: format!("{sort}:{}", name.escape_default()),
            token: None,
            scopes: [scope].into_iter().collect(),
            queue: None,
            worker: bound.then(|| name.to_owned()),
            ends: CancellationToken::new(),
        }))
    }

    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.0.scopes.allow(scope)
    }

    /// Whether it speaks for others and is believed when it says for whom: only what was made for that is.
    pub fn speaks_for_others(&self) -> bool {
        self.0.scopes.has(Scope::Service)
    }

    /// For the log and for other services: `token:<id>`, `service:<name>` or `worker:<id>`.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The one queue that it may touch.
    pub fn queue(&self) -> Option<&str> {
        self.0.queue.as_deref()
    }

    /// The one worker that it may be.
    pub fn worker(&self) -> Option<&str> {
        self.0.worker.as_deref()
    }

    /// The token that it brought.
    pub fn token(&self) -> Option<TokenId> {
        self.0.token
    }

    pub(super) fn scopes(&self) -> Scopes {
        self.0.scopes
    }

    pub(super) fn ends(&self) -> CancellationToken {
        self.0.ends.clone()
    }
}

#[derive(Debug)]
struct Entry {
    hash: [u8; 32],
    name: Arc<str>,
    expires: Option<UnixMillis>,
    revoked: bool,
    caller: Caller,
}

/// A worker that joined by a token: it calls with its certificate, as long as the token isn't revoked. That it expires ends
/// joining, and not what came of it.
#[derive(Debug)]
struct Joined {
    revoked: bool,
    caller: Caller,
}

/// By their names; who joined by them, by his key.
#[derive(Debug)]
pub(super) struct Table {
    tokens: HashMap<TokenId, Entry>,
    joined: HashMap<[u8; 32], Joined>,
}

impl Table {
    /// The table of these tokens. Whoever was in the one before stays who he is, so that his streams end with his token.
    pub(super) fn following(before: Option<&Self>, tokens: &[Token], now: UnixMillis) -> Self {
        let old = |id: TokenId| before.and_then(|table| table.tokens.get(&id));
        let entry = |token: &Token| {
            let caller = old(token.id).map_or_else(|| Caller::of(token), |entry| entry.caller.clone());
            if !token.is_live(now) {
                caller.0.ends.cancel();
            }
            let Token { id, name, hash, expires, revoked, .. } = token;
            let revoked = revoked.is_some();
            (*id, Entry { hash: *hash, name: name.as_str().into(), expires: *expires, revoked, caller })
        };
        let table = Self { tokens: tokens.iter().map(entry).collect(), joined: joined(before, tokens) };
        let gone = before.into_iter().flat_map(|table| &table.tokens).filter(|(id, _)| !table.tokens.contains_key(id));
        gone.for_each(|(_, entry)| entry.caller.0.ends.cancel());
        let gone =
            before.into_iter().flat_map(|table| &table.joined).filter(|(key, _)| !table.joined.contains_key(*key));
        gone.for_each(|(_, joined)| joined.caller.0.ends.cancel());
        table
    }

    /// The worker that shows a certificate of this name with this key. One that joined by no token has it from the CA's
    /// owner himself.
    ///
    /// # Errors
    /// It was shut out.
    pub(super) fn worker(&self, id: &str, key: Option<[u8; 32]>) -> Result<Caller, &'static str> {
        match key.and_then(|key| self.joined.get(&key)) {
            Some(joined) if joined.revoked => Err(SHUT_OUT),
            Some(joined) if joined.caller.worker() == Some(id) => Ok(joined.caller.clone()),
            Some(_) | None => Ok(Caller::certified("worker", id, Scope::Worker, true)),
        }
    }

    pub(super) fn end_expired(&self, now: UnixMillis) {
        let expired = self.tokens.values().filter(|entry| entry.expires.is_some_and(|expires| expires <= now));
        expired.for_each(|entry| entry.caller.0.ends.cancel());
    }

    /// Who brings this text.
    ///
    /// # Errors
    /// Why nobody does. Only who has the secret is told more than that it is wrong.
    pub(super) fn find(&self, text: &str, now: UnixMillis) -> Result<Caller, &'static str> {
        let (id, hash) = secret::parse(text).ok_or(WRONG)?;
        let entry = self.tokens.get(&id);
        let same = secret::same(&hash, entry.map_or(&NO_HASH, |entry| &entry.hash));
        match entry.filter(|_| same) {
            None => Err(WRONG),
            Some(entry) if entry.revoked => Err(REVOKED),
            Some(entry) if entry.expires.is_some_and(|expires| expires <= now) => Err(EXPIRED),
            Some(entry) => Ok(entry.caller.clone()),
        }
    }

    pub(super) fn name(&self, id: TokenId) -> Option<Arc<str>> {
        self.tokens.get(&id).map(|entry| Arc::clone(&entry.name))
    }
}

/// Who joined. One key may have come by several tokens: revoking any of them shuts it out.
fn joined(before: Option<&Table>, tokens: &[Token]) -> HashMap<[u8; 32], Joined> {
    let mut all: HashMap<[u8; 32], Joined> = HashMap::new();
    for token in tokens {
        let Some(Enrolment { worker, key, at: _ }) = &token.enrolled else { continue };
        let old = || before.and_then(|table| table.joined.get(key)).map(|joined| joined.caller.clone());
        let new = || Caller::certified("worker", worker, Scope::Worker, true);
        let caller = || old().unwrap_or_else(new);
        let joined = all.entry(*key).or_insert_with(|| Joined { revoked: false, caller: caller() });
        if token.revoked.is_some() {
            joined.revoked = true;
            joined.caller.0.ends.cancel();
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    fn token(expires: Option<i64>) -> (Secret, Token) {
        let (secret, id, hash) = Secret::draw().unwrap();
        let token = Token {
            id,
            name: "ci".into(),
            hash,
            scopes: [Scope::Read].into_iter().collect(),
            queue: None,
            worker: None,
            created: UnixMillis(1),
            expires: expires.map(UnixMillis),
            revoked: None,
            enrolled: None,
        };
        (secret, token)
    }

    #[test]
    fn who_joined_by_a_token_goes_with_it_and_not_when_it_expires() {
        let enrolment = |worker: &str, n| Some(Enrolment { worker: worker.into(), key: [n; 32], at: UnixMillis(1) });
        let ((_, one), (_, two)) = (token(Some(10)), token(None));
        let (one, two) = (Token { enrolled: enrolment("a", 1), ..one }, Token { enrolled: enrolment("b", 2), ..two });
        let table = Table::following(None, &[one.clone(), two.clone()], UnixMillis(1));
        let (a, b) = (table.worker("a", Some([1; 32])).unwrap(), table.worker("b", Some([2; 32])).unwrap());
        assert_eq!(
            (a.text(), a.worker(), a.may(Scope::Worker), a.may(Scope::Enrol)),
            ("worker:a", Some("a"), true, false)
        );
        table.end_expired(UnixMillis(20));
        let later = Table::following(Some(&table), &[one.clone(), two.clone()], UnixMillis(20));
        assert!(!a.ends().is_cancelled() && later.worker("a", Some([1; 32])).is_ok());
        let one = Token { revoked: Some(UnixMillis(21)), ..one };
        let last = Table::following(Some(&later), &[one, two], UnixMillis(21));
        assert!(a.ends().is_cancelled() && !b.ends().is_cancelled());
        assert_eq!(last.worker("a", Some([1; 32])).unwrap_err(), SHUT_OUT);
        // With certificates that nobody joined for, and with none of ours.
        assert!(last.worker("a", Some([3; 32])).is_ok() && last.worker("a", None).is_ok());
    }

    #[test]
    fn a_key_that_came_by_two_tokens_goes_with_either() {
        let enrolled = Some(Enrolment { worker: "a".into(), key: [1; 32], at: UnixMillis(1) });
        let ((_, one), (_, two)) = (token(None), token(None));
        let (one, two) = (Token { enrolled: enrolled.clone(), ..one }, Token { enrolled, ..two });
        for revoked in [0, 1] {
            let mut both = [one.clone(), two.clone()];
            both[revoked].revoked = Some(UnixMillis(5));
            assert!(Table::following(None, &both, UnixMillis(5)).worker("a", Some([1; 32])).is_err());
        }
    }

    #[test]
    fn only_the_secret_finds_its_token_and_only_while_it_lives() {
        let ((secret, one), (other, _)) = (token(Some(100)), token(None));
        let table = Table::following(None, std::slice::from_ref(&one), UnixMillis(5));
        assert_eq!(table.find(secret.text(), UnixMillis(99)).unwrap().text(), format!("token:{}", one.id));
        assert_eq!(table.find(secret.text(), UnixMillis(100)).unwrap_err(), EXPIRED);
        assert_eq!(table.find(other.text(), UnixMillis(5)).unwrap_err(), WRONG);
        let mixed = format!("{}.{}", &secret.text()[..22], &other.text()[23..]);
        assert_eq!(table.find(&mixed, UnixMillis(5)).unwrap_err(), WRONG);
    }

    #[test]
    fn streams_end_when_a_token_is_revoked_expires_or_goes() {
        let ((secret, one), (_, two), (_, three)) = (token(None), token(Some(50)), token(None));
        let first = Table::following(None, &[one.clone(), two.clone(), three.clone()], UnixMillis(1));
        let ends = |table: &Table, token: &Token| table.tokens[&token.id].caller.ends();
        let (end_one, end_two, end_three) = (ends(&first, &one), ends(&first, &two), ends(&first, &three));
        first.end_expired(UnixMillis(49));
        assert!(!end_two.is_cancelled());
        first.end_expired(UnixMillis(50));
        assert!(end_two.is_cancelled() && !end_one.is_cancelled());
        let revoked = Token { revoked: Some(UnixMillis(60)), ..one };
        let second = Table::following(Some(&first), &[revoked], UnixMillis(60));
        assert!(end_one.is_cancelled() && end_three.is_cancelled());
        assert_eq!(second.find(secret.text(), UnixMillis(60)).unwrap_err(), REVOKED);
    }
}
