//! Tokens: their rights and hashes, never their secrets.

use super::rows::fault;
use crate::Failure;
use domain::{Enrolment, Scopes, Token, TokenId, UnixMillis};
use rusqlite::{Connection, Row, params};

/// Puts a token in, or in its own place, and takes others out.
pub(super) fn keep(conn: &Connection, token: &Token, remove: &[TokenId]) -> Result<(), Failure> {
    for id in remove {
        conn.execute("DELETE FROM tokens WHERE id = ?1", [id.to_string()]).map_err(fault)?;
    }
    let Token { id, name, hash, scopes, queue, worker, created, expires, revoked, enrolled } = token;
    let values = params![
        id.to_string(),
        name,
        hash,
        scopes.code(),
        queue,
        worker,
        created.0,
        expires.map(|at| at.0),
        revoked.map(|at| at.0),
        enrolled.as_ref().map(|enrolment| &enrolment.worker),
        enrolled.as_ref().map(|enrolment| enrolment.key),
        enrolled.as_ref().map(|enrolment| enrolment.at.0),
    ];
    let sql = "INSERT OR REPLACE INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    conn.execute(sql, values).map_err(fault)?;
    Ok(())
}

/// All of them, by their time.
pub(super) fn tokens(conn: &Connection) -> Result<Vec<Token>, Failure> {
    let sql = "SELECT id, name, hash, scopes, queue, worker, created_ms, expires_ms, revoked_ms,
        enrolled_worker, enrolled_key, enrolled_ms FROM tokens ORDER BY created_ms, id";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    statement.query_map([], token).and_then(Iterator::collect).map_err(fault)
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let id: String = row.get(0)?;
    let id: TokenId = id.parse().map_err(|_| rusqlite::Error::InvalidColumnType(0, id, rusqlite::types::Type::Text))?;
    let enrolled = match row.get::<_, Option<String>>(9)? {
        Some(worker) => Some(Enrolment { worker, key: row.get(10)?, at: UnixMillis(row.get(11)?) }),
        None => None,
    };
    Ok(Token {
        id,
        name: row.get(1)?,
        hash: row.get(2)?,
        scopes: Scopes::from_code(row.get(3)?),
        queue: row.get(4)?,
        worker: row.get(5)?,
        created: UnixMillis(row.get(6)?),
        expires: row.get::<_, Option<i64>>(7)?.map(UnixMillis),
        revoked: row.get::<_, Option<i64>>(8)?.map(UnixMillis),
        enrolled,
    })
}
