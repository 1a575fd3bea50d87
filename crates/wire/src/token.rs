//! Tokens. Their texts are in no conversion but the answer that gives one away.

use crate::v1;
use domain::{Enrolment, Error, NewToken, Result, Scope, Scopes, Token, TokenId, UnixMillis};
use std::time::Duration;

/// What may be shown of a token.
pub fn v1_token(token: &Token) -> v1::TokenInfo {
    let Token { id, name, hash: _, scopes, queue, worker, created, expires, revoked, enrolled } = token;
    v1::TokenInfo {
        id: id.to_string(),
        name: name.clone(),
        scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        queue: queue.clone().unwrap_or_default(),
        worker: worker.clone().unwrap_or_default(),
        created_ms: created.0,
        expires_ms: expires.map_or(0, |at| at.0),
        revoked_ms: revoked.map_or(0, |at| at.0),
        enrolled_worker: enrolled.as_ref().map(|enrolment| enrolment.worker.clone()).unwrap_or_default(),
        enrolled_ms: enrolled.as_ref().map_or(0, |enrolment| enrolment.at.0),
    }
}

/// What a gateway needs of a token.
pub fn v1_token_record(token: &Token) -> v1::TokenRecord {
    let enrolled_key = token.enrolled.as_ref().map(|enrolment| enrolment.key.to_vec()).unwrap_or_default();
    v1::TokenRecord { token: Some(v1_token(token)), hash: token.hash.to_vec(), enrolled_key }
}

/// What a scheduler told of a token. Scopes that this build doesn't know allow nothing.
///
/// # Errors
/// [`domain::Kind::Invalid`]: it is none.
pub fn token(record: v1::TokenRecord) -> Result<Token> {
    let v1::TokenRecord { token, hash, enrolled_key } = record;
    let info = token.ok_or_else(|| Error::field("token", "must not be missing"))?;
    let v1::TokenInfo {
        id,
        name,
        scopes,
        queue,
        worker,
        created_ms,
        expires_ms,
        revoked_ms,
        enrolled_worker,
        enrolled_ms,
    } = info;
    let bytes = |field, bytes: Vec<u8>| bytes.try_into().map_err(|_| Error::field(field, "must have 32 bytes"));
    let enrolled = match enrolled_worker {
        worker if worker.is_empty() => None,
        worker => Some(Enrolment { worker, key: bytes("enrolled_key", enrolled_key)?, at: UnixMillis(enrolled_ms) }),
    };
    let moment = |ms: i64| (ms != 0).then_some(UnixMillis(ms));
    Ok(Token {
        id: id.parse()?,
        name,
        hash: bytes("hash", hash)?,
        scopes: scopes.iter().filter_map(|word| Scope::parse(word)).collect(),
        queue: some(queue),
        worker: some(worker),
        created: UnixMillis(created_ms),
        expires: moment(expires_ms),
        revoked: moment(revoked_ms),
        enrolled,
    })
}

/// What is asked of a new token.
///
/// # Errors
/// [`domain::Kind::Invalid`] names the field.
pub fn new_token(request: v1::CreateTokenRequest) -> Result<NewToken> {
    let v1::CreateTokenRequest { name, scopes, queue, worker, expires_in_ms } = request;
    let unknown = |word: &String| Error::field("scopes", format!("{word:?} is none of {}", Scope::WORDS));
    let scopes =
        scopes.iter().map(|word| Scope::parse(word).ok_or_else(|| unknown(word))).collect::<Result<Scopes>>()?;
    let negative = |_| Error::field("expires_in_ms", "must not be negative");
    let expires_in = match u64::try_from(expires_in_ms).map_err(negative)? {
        0 => None,
        ms => Some(Duration::from_millis(ms)),
    };
    let new = NewToken { name, scopes, queue: some(queue), worker: some(worker), expires_in };
    new.check()?;
    Ok(new)
}

/// A token's public name.
///
/// # Errors
/// [`domain::Kind::Invalid`]: it is none.
pub fn token_id(text: &str) -> Result<TokenId> {
    text.parse()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_same_behind_the_wire() {
        let there = Token {
            id: TokenId(7),
            name: "ci".into(),
            hash: [9; 32],
            scopes: [Scope::Submit, Scope::Read].into_iter().collect(),
            queue: Some("gpu".into()),
            worker: None,
            created: UnixMillis(5),
            expires: Some(UnixMillis(6)),
            revoked: None,
            enrolled: None,
        };
        assert_eq!(token(v1_token_record(&there)), Ok(there.clone()));
        let enrolled = Some(Enrolment { worker: "w".into(), key: [4; 32], at: UnixMillis(8) });
        let used = Token { enrolled, ..there };
        assert_eq!(token(v1_token_record(&used)), Ok(used));
    }

    #[test]
    fn an_unknown_scope_is_refused_in_a_request_and_worth_nothing_in_a_record() {
        let request = v1::CreateTokenRequest { name: "x".into(), scopes: vec!["root".into()], ..Default::default() };
        assert!(new_token(request).unwrap_err().text().starts_with("scopes: "));
        let info = v1::TokenInfo { id: TokenId(1).to_string(), scopes: vec!["root".into()], ..Default::default() };
        let record = v1::TokenRecord { token: Some(info), hash: vec![0; 32], ..Default::default() };
        assert!(token(record).unwrap().scopes.is_empty());
    }
}
