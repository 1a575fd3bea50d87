//! The embedded store: one SQLite file, WAL, `synchronous=FULL`, one writer.
//!
//! Must never answer before the fsync, and never go on after a failed COMMIT without opening the file anew.

mod apply;
mod list;
mod names;
mod open;
mod reader;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use crate::{Failure, Opened, Reader, Reason, Store};
use apply::uint;
use domain::{Batch, Commit, Epoch, Fact, Loaded, Need, Result as DomainResult};
use names::Names;
use reader::SqliteReader;
use rows::fault;
use rusqlite::{Connection, TransactionBehavior};
use std::{fs::File, path::Path, path::PathBuf, sync::Arc};

/// The embedded store. It holds its data directory until it is dropped.
pub struct SqliteStore {
    dir: PathBuf,
    /// `None` after a failure that leaves the connection in doubt: [`Store::begin`] opens it anew.
    conn: Option<Connection>,
    names: Names,
    reader: Arc<SqliteReader>,
    _lock: File,
}

impl SqliteStore {
    /// Opens or creates the store in this data directory and takes the directory for this process.
    ///
    /// # Errors
    /// [`domain::Kind::Precondition`]: in use by another process, not writable, not a database, or from a newer build.
    pub fn open(dir: &Path) -> DomainResult<Self> {
        let lock = open::lock(dir)?;
        let conn = open::writer(dir)?;
        let reader = Arc::new(SqliteReader::new(open::file(dir)));
        Ok(Self { dir: dir.to_owned(), conn: Some(conn), names: Names::default(), reader, _lock: lock })
    }

    fn conn(&self) -> Result<&Connection, Failure> {
        let closed = || Failure::Definite(Reason::Other("closed after a failure; a new reign opens it".into()));
        self.conn.as_ref().ok_or_else(closed)
    }

    /// Closes the file, readers' connections too: whatever they had mapped is read anew.
    fn close(&mut self) {
        self.conn = None;
        self.names.forget();
        self.reader.close();
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<Opened, Failure> {
        if self.conn.is_none() {
            let conn = open::writer(&self.dir).map_err(|error| Failure::Definite(Reason::Other(error.to_string())))?;
            self.conn = Some(conn);
        }
        let sql = "UPDATE meta SET epoch = epoch + 1 RETURNING store_id, epoch, commit_no";
        let opened = write(self.conn()?, |conn| {
            conn.query_row(sql, [], |row| {
                let store_id: String = row.get(0)?;
                Ok(Opened {
                    store_id: store_id.into(),
                    epoch: Epoch(uint(row.get(1)?)),
                    commit: Commit(uint(row.get(2)?)),
                })
            })
            .map_err(fault)
        });
        if opened.is_err() {
            self.close();
        }
        opened
    }

    fn load(&mut self) -> Result<Loaded, Failure> {
        let conn = self.conn()?;
        let mut tasks = rows::unfinished(conn)?;
        tasks.sort_by_key(|task| task.ready_seq);
        let ready_seq = conn.query_row("SELECT ready_seq FROM meta", [], |row| row.get(0)).map_err(fault)?;
        let mut names = conn.prepare_cached("SELECT name FROM offered").map_err(fault)?;
        let offered = names.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(fault)?;
        Ok(Loaded { tasks, ready_seq: uint(ready_seq), offered })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let Self { conn, names, .. } = self;
        let Some(conn) = conn else { return self.conn().map(|_| Commit(0)) };
        let done = write(conn, |conn| apply::apply(conn, names, batch));
        match &done {
            Ok(_) => {}
            Err(Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Full)) => self.names.forget(),
            Err(Failure::Definite(Reason::Other(_)) | Failure::Unknown(_)) => self.close(),
        }
        done.map(|number| Commit(uint(number)))
    }

    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure> {
        let conn = self.conn()?;
        let look = |need: &Need| {
            let task = match need {
                Need::Task(id) => rows::by_id(conn, *id)?,
                Need::Key(key) => rows::by_key(conn, *key)?,
            };
            Ok(Fact { need: need.clone(), task })
        };
        needs.iter().map(look).collect()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }
}

/// One transaction. A failure before COMMIT is definite and rolled back; of COMMIT itself nobody knows.
fn write<T>(conn: &Connection, change: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
    let transaction = rusqlite::Transaction::new_unchecked(conn, TransactionBehavior::Immediate).map_err(fault)?;
    // Dropped on the way out, it rolls back.
    let changed = change(&transaction)?;
    transaction.commit().map_err(|error| Failure::Unknown(error.to_string()))?;
    Ok(changed)
}
