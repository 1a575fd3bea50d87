//! Tokens: who may call, and for what. What is kept of one never includes its secret, only the secret's hash.

use crate::{Error, Result, UnixMillis, limits};
use std::{fmt, str::FromStr, time::Duration};

/// What a call may be allowed to do. Each route and RPC names the one that it needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// Hand tasks over, cancel and retry them.
    Submit,
    /// Look at tasks, their output, queues and workers.
    Read,
    /// Be a worker.
    Worker,
    /// Everything.
    Admin,
    /// Be a gateway: ask the scheduler on behalf of others, and say who they are.
    Service,
    /// Become a worker, once: exchange the token for a certificate.
    Enrol,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Submit, Self::Read, Self::Worker, Self::Admin, Self::Service, Self::Enrol];
    /// All of them, in a sentence.
    pub const WORDS: &str = "submit, read, worker, admin, service, enrol";

    /// The one word that every surface has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Worker => "worker",
            Self::Admin => "admin",
            Self::Service => "service",
            Self::Enrol => "enrol",
        }
    }

    /// Back from [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Submit => 1,
            Self::Read => 2,
            Self::Worker => 4,
            Self::Admin => 8,
            Self::Service => 16,
            Self::Enrol => 32,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether it was given this one itself.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether it is enough for what needs this one: `admin` is enough for everything.
    pub fn allow(self, scope: Scope) -> bool {
        self.has(scope) || self.has(Scope::Admin)
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As it is stored.
    pub fn code(self) -> u8 {
        self.0
    }

    /// Back from [`Self::code`]; what this build doesn't know allows nothing.
    pub fn from_code(code: u8) -> Self {
        Scope::ALL.into_iter().filter(|scope| code & scope.bit() != 0).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

/// A token's public name: what stands before the secret, in lists and in the audit log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for TokenId {
    type Err = Error;

    /// Exactly as it is displayed: one token has one spelling.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| Error::field("id", "is not a token's id: 16 digits of 0-9 and a-f"))
    }
}

/// What is kept of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Its public name.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// Of the secret, which nobody keeps.
    pub hash: [u8; 32],
    /// What it is good for.
    pub scopes: Scopes,
    /// Only for tasks of this queue.
    pub queue: Option<String>,
    /// Only for the worker with this id.
    pub worker: Option<String>,
    /// When it was made.
    pub created: UnixMillis,
    /// From then on it is good for nothing.
    pub expires: Option<UnixMillis>,
    /// Since then it is good for nothing, nor is the certificate that somebody got for it.
    pub revoked: Option<UnixMillis>,
    /// Who got a certificate for it: of the scope `enrol`, once it was used.
    pub enrolled: Option<Enrolment>,
}

/// The one use of a token of the scope `enrol`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    /// The worker that it made.
    pub worker: String,
    /// SHA-256 of the worker's public key (DER, SubjectPublicKeyInfo). No other key gets a certificate for the token.
    pub key: [u8; 32],
    /// When it was first used.
    pub at: UnixMillis,
}

impl Token {
    /// Whether it is good for anything at this moment.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether its row may go: it is good for nothing, and no certificate lasts that its revocation would have to end.
    pub fn is_spent(&self, now: UnixMillis) -> bool {
        let lasts = i64::try_from(limits::ENROLLED_LIFE.as_millis()).unwrap_or(i64::MAX);
        // Certificates are given out as long as the token is live.
        let ends = |_: &Enrolment| self.expires.map_or(i64::MAX, |expires| expires.0.saturating_add(lasts));
        !self.is_live(now) && self.enrolled.as_ref().is_none_or(|enrolment| ends(enrolment) < now.0)
    }
}

/// What somebody asks of a new token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewToken {
    /// What people will call it.
    pub name: String,
    /// What it is to be good for.
    pub scopes: Scopes,
    /// Only for tasks of this queue.
    pub queue: Option<String>,
    /// Only for the worker with this id.
    pub worker: Option<String>,
    /// For so long.
    pub expires_in: Option<Duration>,
}

impl NewToken {
    /// Whether such a token makes sense.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`] names the field.
    pub fn check(&self) -> Result<()> {
        word("name", &self.name, limits::TOKEN_NAME_CHARS)?;
        if self.scopes.is_empty() {
            return Err(Error::field("scopes", format!("must not be empty: some of {}", Scope::WORDS)));
        }
        if self.scopes.has(Scope::Enrol) && self.scopes.iter().count() > 1 {
            return Err(Error::field("scopes", "enrol goes with no other scope"));
        }
        if let Some(queue) = &self.queue {
            word("queue", queue, limits::QUEUE_CHARS)?;
            if self.scopes.iter().any(|scope| !matches!(scope, Scope::Submit | Scope::Read)) {
                return Err(Error::field("queue", "limits tokens with the scopes submit and read only"));
            }
        }
        if let Some(worker) = &self.worker {
            word("worker", worker, limits::WORD_CHARS)?;
            if self.scopes.iter().any(|scope| !matches!(scope, Scope::Worker | Scope::Enrol)) {
                return Err(Error::field("worker", "limits tokens with the scope worker or enrol only"));
            }
        }
        match self.expires_in {
            Some(length) if length.is_zero() || length > limits::TOKEN_LIFE => {
                Err(Error::field("expires_in_ms", "must be between 1 ms and 10 years"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// For how long it is to be good. Joining takes a minute, so what is good for that alone isn't left lying about.
    pub fn lasts(&self) -> Option<Duration> {
        self.expires_in.or_else(|| self.scopes.has(Scope::Enrol).then_some(limits::ENROL_TOKEN_LIFE))
    }
}

fn word(field: &str, text: &str, most: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::field(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(Error::field(field, format!("is over {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::field(field, "must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_is_enough_for_everything_and_nothing_else_is() {
        for given in Scope::ALL {
            let set: Scopes = [given].into_iter().collect();
            for needed in Scope::ALL {
                assert_eq!(set.allow(needed), given == needed || given == Scope::Admin, "{given:?} {needed:?}");
            }
            assert_eq!((Scope::parse(given.as_str()), Scopes::from_code(set.code())), (Some(given), set));
        }
        assert!(Scopes::from_code(0b1100_0000).is_empty());
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = TokenId(0x00ab_cdef_0123_4567);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in
            ["", "abcdef01234567", "00ABCDEF01234567", "+0abcdef01234567", "00abcdef012345678", "../../etc/passwd"]
        {
            assert!(bad.parse::<TokenId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        let plain = || NewToken {
            name: "ci".into(),
            scopes: [Scope::Submit, Scope::Read].into_iter().collect(),
            queue: None,
            worker: None,
            expires_in: None,
        };
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        let text = |token: NewToken| token.check().err().map(|error| error.text().to_owned()).unwrap_or_default();
        assert_eq!(text(plain()), "");
        assert_eq!(text(NewToken { queue: Some("gpu".into()), ..plain() }), "");
        for (field, token) in [
            ("name: ", NewToken { name: String::new(), ..plain() }),
            ("name: ", NewToken { name: "\u{1b}[2J".into(), ..plain() }),
            ("name: ", NewToken { name: "x".repeat(101), ..plain() }),
            ("scopes: ", NewToken { scopes: Scopes::default(), ..plain() }),
            ("queue: ", NewToken { scopes: admin, queue: Some("gpu".into()), ..plain() }),
            ("worker: ", NewToken { worker: Some("w1".into()), ..plain() }),
            ("scopes: ", NewToken { scopes: [Scope::Enrol, Scope::Worker].into_iter().collect(), ..plain() }),
            ("expires_in_ms: ", NewToken { expires_in: Some(Duration::ZERO), ..plain() }),
        ] {
            assert!(text(token.clone()).starts_with(field), "{token:?}");
        }
    }

    #[test]
    fn a_token_lives_until_it_expires_or_is_revoked() {
        let token = Token {
            id: TokenId(1),
            name: "x".into(),
            hash: [0; 32],
            scopes: Scopes::default(),
            queue: None,
            worker: None,
            created: UnixMillis(1),
            expires: Some(UnixMillis(10)),
            revoked: None,
            enrolled: None,
        };
        assert_eq!((token.is_live(UnixMillis(9)), token.is_live(UnixMillis(10))), (true, false));
        assert!(!Token { revoked: Some(UnixMillis(5)), ..token.clone() }.is_live(UnixMillis(9)));
        assert_eq!((token.is_spent(UnixMillis(9)), token.is_spent(UnixMillis(10))), (false, true));
    }

    #[test]
    fn what_shuts_a_worker_out_stays_as_long_as_its_certificate() {
        let enrolled = Some(Enrolment { worker: "w".into(), key: [1; 32], at: UnixMillis(5) });
        let (id, created, expires, revoked) = (TokenId(1), UnixMillis(1), Some(UnixMillis(10)), Some(UnixMillis(6)));
        let scopes = [Scope::Enrol].into_iter().collect();
        let (queue, worker) = (None, None);
        let used =
            Token { id, name: "x".into(), hash: [0; 32], scopes, queue, worker, created, expires, revoked, enrolled };
        let lasts = limits::ENROLLED_LIFE.as_millis() as i64;
        assert!(!used.is_spent(UnixMillis(10 + lasts)) && used.is_spent(UnixMillis(11 + lasts)));
        assert!(!Token { expires: None, ..used }.is_spent(UnixMillis(i64::MAX)));
    }

    #[test]
    fn a_token_for_joining_lasts_a_day_unless_somebody_says_otherwise() {
        let new = |scope, expires_in| {
            let scopes = [scope].into_iter().collect();
            NewToken { name: "x".into(), scopes, queue: None, worker: Some("w".into()), expires_in }
        };
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(new(Scope::Enrol, None).check(), Ok(()));
        assert_eq!(new(Scope::Enrol, None).lasts(), Some(limits::ENROL_TOKEN_LIFE));
        assert_eq!((new(Scope::Enrol, hour).lasts(), new(Scope::Worker, None).lasts()), (hour, None));
    }
}
