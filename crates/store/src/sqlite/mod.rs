//! The embedded store: one SQLite file, WAL, `synchronous=FULL`, one writer.
//!
//! Must never answer before the fsync, and never go on after a failed COMMIT without opening the file anew.

mod ahead;
mod apply;
mod behind;
mod checkpoint;
mod classes;
mod entries;
mod expire;
mod insert;
mod list;
mod load;
mod members;
mod named;
mod names;
mod open;
mod put;
mod queues;
mod reader;
mod rows;
mod schema;
mod story;
mod tallies;
#[cfg(test)]
mod tests;
mod upgrade;

use crate::{Expired, Failure, Opened, Reader, Reason, Store};
use apply::{Interned, uint};
use checkpoint::Checkpoints;
use domain::{Ahead, Batch, Commit, Epoch, Error, Fact, Found, Loaded, Need, Result as DomainResult, UnixMillis, Want};
use reader::SqliteReader;
use rows::fault;
use rusqlite::{Connection, TransactionBehavior};
use std::{fs::File, path::Path, path::PathBuf, sync::Arc};

/// The embedded store. It holds its data directory until it is dropped.
pub struct SqliteStore {
    dir: PathBuf,
    /// `None` after a failure that leaves the connection in doubt: [`Store::begin`] opens it anew.
    conn: Option<Connection>,
    /// Behind the connection, which wakes it: dropped after it.
    checkpoints: Option<Checkpoints>,
    interned: Interned,
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
        let reader = Arc::new(SqliteReader::new(open::file(dir)));
        let (interned, dir) = (Interned::default(), dir.to_owned());
        let mut store = Self { dir, conn: None, checkpoints: None, interned, reader, _lock: lock };
        store.reopen()?;
        Ok(store)
    }

    fn reopen(&mut self) -> DomainResult<()> {
        let mut conn = open::writer(&self.dir)?;
        let checkpoints = Checkpoints::start(open::file(&self.dir), &mut conn);
        let no_thread = |error| Error::internal(format!("the store's thread for checkpoints cannot start: {error}"));
        self.checkpoints = Some(checkpoints.map_err(no_thread)?);
        self.conn = Some(conn);
        Ok(())
    }

    fn conn(&self) -> Result<&Connection, Failure> {
        let closed = || Failure::Definite(Reason::Other("closed after a failure; a new reign opens it".into()));
        self.conn.as_ref().ok_or_else(closed)
    }

    /// After a transaction: what it failed at decides whether the connection can be used again.
    fn settle<T>(&mut self, done: &Result<T, Failure>) {
        match done {
            Ok(_) => {}
            Err(Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Full)) => self.interned.forget(),
            Err(Failure::Definite(Reason::Other(_)) | Failure::Unknown(_)) => self.close(),
        }
    }

    /// Closes the file, readers' connections too: whatever they had mapped is read anew.
    fn close(&mut self) {
        self.conn = None;
        self.checkpoints = None;
        self.interned.forget();
        self.reader.close();
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<Opened, Failure> {
        if self.conn.is_none() {
            self.reopen().map_err(|error| Failure::Definite(Reason::Other(error.to_string())))?;
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
        load::load(self.conn()?)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let Self { conn, interned, .. } = self;
        let Some(conn) = conn else { return self.conn().map(|_| Commit(0)) };
        let done = write(conn, |conn| apply::apply(conn, interned, batch));
        self.settle(&done);
        done.map(|number| Commit(uint(number)))
    }

    fn facts(&mut self, needs: &[Need]) -> Result<Vec<Fact>, Failure> {
        let conn = self.conn()?;
        let look = |need: &Need| {
            let found = match need {
                Need::Task(id) => members::find(conn, *id)?,
                Need::Key(key) => rows::by_key(conn, *key)?.map(|task| Found { task, row: true, array: None }),
            };
            Ok(Fact { need: need.clone(), found })
        };
        needs.iter().map(look).collect()
    }

    fn ahead(&mut self, want: &Want) -> Result<Ahead, Failure> {
        ahead::ahead(self.conn()?, want)
    }

    fn expire(
        &mut self,
        epoch: Epoch,
        finished_before: UnixMillis,
        after: i64,
        limit: usize,
    ) -> Result<Expired, Failure> {
        let done = write(self.conn()?, |conn| expire::expire(conn, epoch, finished_before, after, limit));
        self.settle(&done);
        done
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
