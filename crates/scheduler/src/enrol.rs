//! Joining: a token of the scope `enrol` becomes a worker's certificate, once.
//!
//! Must never give a certificate for what isn't durable yet, nor a name to a second key while the first one holds it.

use domain::{Enrolment, Error, Kind, Result, Scope, Token, TokenId, UnixMillis};
use service::{AuthMode, Fatal, Tls, ca::Authority};
use std::path::Path;

/// The CA that those who join get their certificates from.
#[derive(Debug)]
pub(crate) struct Enrolling {
    pub authority: Authority,
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
}

impl Enrolling {
    /// That of a directory, if workers can join by it here.
    ///
    /// # Errors
    /// [`Fatal`] names what is missing.
    pub fn open(dir: &Path, tls: &Tls, auth: AuthMode) -> std::result::Result<Self, Fatal> {
        match auth {
            AuthMode::Tokens => {}
            AuthMode::Off => {
                return Err(Fatal::new("--enrol-ca needs --auth tokens: workers join with a token"));
            }
        }
        if !tls.serves() {
            return Err(Fatal::new("--enrol-ca needs --tls-cert and --tls-key: no worker joins in the clear")
                .hint("baton ca issue DIR --service scheduler --host HOST makes them"));
        }
        let authority = Authority::open(dir)?;
        authority.fits(tls)?;
        let fingerprint = authority.fingerprint()?;
        Ok(Self { authority, fingerprint })
    }
}

/// Who wants to join.
#[derive(Clone, Copy)]
pub(crate) struct Joiner<'a> {
    pub worker: &'a str,
    /// SHA-256 of its public key.
    pub key: [u8; 32],
    /// A worker of that name is in contact.
    pub in_contact: bool,
}

/// What the token is from now on; `None`: it was used by this worker before, with this key.
///
/// # Errors
/// Why nobody gets a certificate for it.
pub(crate) fn used(all: &[Token], id: TokenId, joiner: Joiner<'_>, now: UnixMillis) -> Result<Option<Token>> {
    let Joiner { worker, key, in_contact } = joiner;
    let taken = |text: String| Err(Error::new(Kind::Precondition, text));
    let Some(token) = all.iter().find(|token| token.id == id).filter(|token| token.is_live(now)) else {
        return Err(Error::new(Kind::Unauthenticated, "the token was revoked or has expired"));
    };
    if !token.scopes.has(Scope::Enrol) {
        return Err(Error::new(Kind::Precondition, "this is no token for joining: it has not the scope `enrol`"));
    }
    if let Some(bound) = token.worker.as_deref().filter(|bound| *bound != worker) {
        let text = format!("this token is for the worker {bound:?} and not for {worker:?}: join with --id {bound}");
        return Err(Error::new(Kind::Denied, text));
    }
    if let Some(enrolment) = &token.enrolled {
        if enrolment.worker == worker && enrolment.key == key {
            return Ok(None);
        }
        let text = format!("this token was used already, by the worker {:?}: one is needed for each", enrolment.worker);
        return Err(Error::new(Kind::Conflict, text));
    }
    let mut returning = false;
    for other in all {
        let Some(enrolment) = &other.enrolled else { continue };
        match (enrolment.key == key, enrolment.worker == worker, other.revoked) {
            (true, _, Some(_)) => {
                let text = format!("this key was shut out by revoking the token {}: join with a new one", other.id);
                return Err(Error::new(Kind::Denied, text));
            }
            (true, true, None) => returning = true,
            (true, false, None) => return taken(format!("this key is that of the worker {:?}", enrolment.worker)),
            (false, true, None) => {
                return taken(format!(
                    "a worker {worker:?} joined before, with another key: `baton token revoke {}` shuts it out",
                    other.id
                ));
            }
            (false, _, _) => {}
        }
    }
    if in_contact && !returning {
        return taken(format!("a worker {worker:?} is connected: stop it, or join with another --id"));
    }
    let enrolled = Some(Enrolment { worker: worker.to_owned(), key, at: now });
    Ok(Some(Token { enrolled, ..token.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(50);

    fn token(n: u64, enrolled: Option<(&str, u8)>) -> Token {
        Token {
            id: TokenId(n),
            name: "x".into(),
            hash: [0; 32],
            scopes: [Scope::Enrol].into_iter().collect(),
            queue: None,
            worker: None,
            created: UnixMillis(1),
            expires: Some(UnixMillis(100)),
            revoked: None,
            enrolled: enrolled.map(|(worker, key)| Enrolment {
                worker: worker.into(),
                key: [key; 32],
                at: UnixMillis(2),
            }),
        }
    }

    fn revoked(token: Token) -> Token {
        Token { revoked: Some(UnixMillis(9)), ..token }
    }

    /// What happens to token 1: used, used before, or why not.
    fn said(all: &[Token], worker: &str, key: u8, in_contact: bool) -> String {
        match used(all, TokenId(1), Joiner { worker, key: [key; 32], in_contact }, NOW) {
            Ok(Some(token)) => format!("{:?}", token.enrolled.map(|e| (e.worker, e.key[0], e.at.0))),
            Ok(None) => "again".into(),
            Err(error) => error.text().to_owned(),
        }
    }

    #[test]
    fn a_token_is_used_once_and_again_only_by_who_used_it() {
        assert_eq!(said(&[token(1, None)], "a", 7, false), r#"Some(("a", 7, 50))"#);
        let used = [token(1, Some(("a", 7)))];
        assert_eq!((said(&used, "a", 7, false), said(&used, "a", 7, true)), ("again".into(), "again".into()));
        for (worker, key) in [("a", 8), ("b", 7), ("b", 8)] {
            assert!(said(&used, worker, key, false).contains(r#"used already, by the worker "a""#));
        }
    }

    #[test]
    fn what_is_no_live_token_for_this_worker_is_refused() {
        let not_live = "the token was revoked or has expired";
        assert_eq!(said(&[revoked(token(1, None))], "a", 7, false), not_live);
        assert_eq!(said(&[Token { expires: Some(NOW), ..token(1, None) }], "a", 7, false), not_live);
        assert_eq!(said(&[token(2, None)], "a", 7, false), not_live);
        let admin = Token { scopes: [Scope::Admin].into_iter().collect(), ..token(1, None) };
        assert!(said(&[admin], "a", 7, false).contains("no token for joining"));
        let bound = Token { worker: Some("b".into()), ..token(1, None) };
        assert!(said(std::slice::from_ref(&bound), "a", 7, false).contains("--id b"));
        assert!(said(&[bound], "b", 7, false).starts_with("Some"));
    }

    #[test]
    fn a_name_belongs_to_one_key_until_its_token_is_revoked() {
        let all = |other: Token| [token(1, None), other];
        assert!(said(&all(token(2, Some(("a", 8)))), "a", 7, false).contains("baton token revoke 0000000000000002"));
        assert!(said(&all(revoked(token(2, Some(("a", 8))))), "a", 7, false).starts_with("Some"));
        assert!(said(&all(token(2, Some(("b", 7)))), "a", 7, false).contains(r#"that of the worker "b""#));
        assert!(said(&all(revoked(token(2, Some(("a", 7))))), "a", 7, false).contains("shut out"));
        assert!(said(&all(token(2, None)), "a", 7, true).contains("is connected"));
        // It comes back with another token, because its certificate is gone.
        assert!(said(&all(token(2, Some(("a", 7)))), "a", 7, true).starts_with("Some"));
    }
}
