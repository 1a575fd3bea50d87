//! Interned classes: a task's row holds its class as a number.

use super::names::Names;
use super::rows::fault;
use crate::record::{decode_class, encode_class};
use crate::{Failure, Reason};
use domain::ClassKey;
use rusqlite::{Connection, OptionalExtension};
use std::{collections::HashMap, sync::Arc};

/// Classes remembered. A stream of tasks each with a class of its own must not grow memory; forgetting costs a look-up.
const REMEMBERED: usize = 10_000;

/// A class as rows name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Class {
    /// Its number.
    pub id: i64,
    /// Its queue's name, interned.
    pub queue: i64,
}

/// The writer's memory of interned classes.
#[derive(Default)]
pub(super) struct Classes {
    known: HashMap<Arc<ClassKey>, Class>,
    /// The last one asked for: a batch is often of one class.
    last: Option<(Arc<ClassKey>, Class)>,
}

impl Classes {
    /// The number of a class, new if need be.
    pub(super) fn intern(
        &mut self,
        conn: &Connection,
        names: &mut Names,
        key: &Arc<ClassKey>,
    ) -> Result<Class, Failure> {
        if let Some((last, class)) = &self.last
            && Arc::ptr_eq(last, key)
        {
            return Ok(*class);
        }
        let class = match self.known.get(key) {
            Some(class) => *class,
            None => {
                let class = add(conn, names, key).map_err(fault)?;
                if self.known.len() >= REMEMBERED {
                    self.known.clear();
                }
                self.known.insert(Arc::clone(key), class);
                class
            }
        };
        self.last = Some((Arc::clone(key), class));
        Ok(class)
    }

    /// After a rollback: what was interned in it is gone.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.last = None;
    }
}

fn add(conn: &Connection, names: &mut Names, key: &ClassKey) -> rusqlite::Result<Class> {
    let bytes = encode_class(key);
    let queue = names.intern(conn, &key.queue)?;
    let id = match id(conn, &bytes)? {
        Some(id) => id,
        None => {
            conn.prepare_cached("INSERT INTO classes(key, queue) VALUES (?1, ?2)")?.execute((&bytes, queue))?;
            conn.last_insert_rowid()
        }
    };
    Ok(Class { id, queue })
}

fn id(conn: &Connection, key: &[u8]) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM classes WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// The number of a class, if any task was ever of it.
pub(super) fn find(conn: &Connection, key: &ClassKey) -> Result<Option<i64>, Failure> {
    id(conn, &encode_class(key)).map_err(fault)
}

/// The class's key from its stored form.
pub(super) fn key(id: i64, bytes: &[u8]) -> Result<ClassKey, Failure> {
    decode_class(bytes).map_err(|error| Failure::Definite(Reason::Other(format!("class {id}: {error}"))))
}
