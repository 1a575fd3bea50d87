//! Interned texts: queues, task names and workers are numbers in the rows.

use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// Texts remembered. A stream of tasks each with a name of its own must not grow memory; forgetting costs a look-up.
const REMEMBERED: usize = 10_000;

/// The writer's memory of interned texts.
#[derive(Default)]
pub(super) struct Names {
    ids: HashMap<String, i64>,
}

impl Names {
    /// The number of a text, new if need be.
    pub(super) fn intern(&mut self, conn: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        let id = match find(conn, text)? {
            Some(id) => id,
            None => {
                conn.prepare_cached("INSERT INTO names(text) VALUES (?1)")?.execute([text])?;
                conn.last_insert_rowid()
            }
        };
        if self.ids.len() >= REMEMBERED {
            self.ids.clear();
        }
        self.ids.insert(text.to_owned(), id);
        Ok(id)
    }

    /// After a rollback: what was interned in it is gone.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
    }
}

/// The number of a text, if any task ever had it.
pub(super) fn find(conn: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM names WHERE text = ?1")?.query_row([text], |row| row.get(0)).optional()
}
