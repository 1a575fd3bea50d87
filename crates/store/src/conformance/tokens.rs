//! Tokens are kept whole, replaced by their id, and fenced like everything else.

use super::stores;
use crate::{Failure, Reason};
use domain::{Enrolment, Epoch, Scope, Token, TokenId, UnixMillis};

fn token(n: u64) -> Token {
    Token {
        id: TokenId(n),
        name: format!("token {n}"),
        hash: [n as u8; 32],
        scopes: [Scope::Submit, Scope::Read].into_iter().collect(),
        queue: n.is_multiple_of(2).then(|| "gpu".to_owned()),
        worker: None,
        created: UnixMillis(100 - n as i64),
        expires: n.is_multiple_of(3).then_some(UnixMillis(1_000)),
        revoked: None,
        enrolled: None,
    }
}

#[test]
fn tokens_are_kept_replaced_and_taken_out() {
    for (name, mut store, _dir) in stores() {
        let opened = store.begin().unwrap();
        let (epoch, reader) = (opened.epoch, store.reader());
        assert_eq!(reader.tokens(), Ok(Vec::new()), "{name}");
        let commits: Vec<u64> = (1..=4).map(|n| store.keep_token(epoch, &token(n), &[]).unwrap().0).collect();
        assert!(commits.is_sorted_by(|a, b| a < b) && commits[0] > opened.commit.0, "{name}: {commits:?}");
        assert_eq!(reader.tokens(), Ok(vec![token(4), token(3), token(2), token(1)]), "{name}: by their time");
        let enrolled = Some(Enrolment { worker: "w".into(), key: [3; 32], at: UnixMillis(6) });
        let revoked = Token { revoked: Some(UnixMillis(7)), enrolled, ..token(2) };
        store.keep_token(epoch, &revoked, &[TokenId(4), TokenId(9)]).unwrap();
        assert_eq!(reader.tokens(), Ok(vec![token(3), revoked, token(1)]), "{name}");
    }
}

#[test]
fn a_deposed_reign_keeps_no_token() {
    for (name, mut store, _dir) in stores() {
        let first = store.begin().unwrap().epoch;
        let now = store.begin().unwrap().epoch;
        let stale = Err(Failure::Definite(Reason::StaleEpoch));
        assert_eq!(store.keep_token(first, &token(1), &[]), stale, "{name}");
        assert_eq!(store.keep_token(Epoch(now.0 + 1), &token(1), &[]), stale, "{name}");
        assert_eq!(store.reader().tokens(), Ok(Vec::new()), "{name}");
        assert!(store.keep_token(now, &token(1), &[]).is_ok(), "{name}");
    }
}
