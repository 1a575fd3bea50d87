//! The embedded store: one SQLite file, WAL, `synchronous=FULL`, one writer.
//!
//! Must never answer before the fsync, and never go on after a failed COMMIT without opening the file anew. What a failed
//! sync leaves in the kernel's cache is not trusted: opening copies the log back, which writes it once more.

mod accept;
mod ahead;
mod apply;
mod beforehand;
mod behind;
mod checkpoint;
mod classes;
mod entries;
pub mod examine;
mod expire;
mod gathered;
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
mod scattered;
mod schema;
mod story;
mod tallies;
#[cfg(test)]
mod tests;
mod tokens;
mod upgrade;
mod watermark;

use crate::ballast::Ballast;
use crate::{Expired, Expiry, Failure, Opened, Reader, Reason, Store, Watermark};
use apply::{Interned, uint};
use beforehand::Beforehand;
use checkpoint::Checkpoints;
use domain::{
    Ahead, Batch, Commit, Epoch, Error, Fact, Found, Kind, Loaded, Need, Result as DomainResult, Token, TokenId,
    UnixMillis, Want,
};
use reader::SqliteReader;
use rows::fault;
use rusqlite::Connection;
use std::{fs::File, path::Path, path::PathBuf, sync::Arc, time::Instant};
use watermark::Marks;

/// A step of retention within a commit may take so large a part of what the commit's own writes take: under full load it
/// has to delete as fast as tasks end.
const EXPIRY_SHARE: u32 = 4;

/// The embedded store. It holds its data directory until it is dropped.
pub struct SqliteStore {
    dir: PathBuf,
    /// `None` after a failure that leaves the connection in doubt: [`Store::begin`] opens it anew.
    conn: Option<Connection>,
    /// Behind the connection, which wakes it: dropped after it.
    checkpoints: Option<Checkpoints>,
    /// From the first step of retention on.
    beforehand: Option<Beforehand>,
    interned: Interned,
    /// What has been acknowledged, in the words of this store; `None` before it has begun.
    acknowledged: Option<Watermark>,
    marks: Marks,
    ballast: Arc<Ballast>,
    reader: Arc<SqliteReader>,
    _lock: File,
}

impl SqliteStore {
    /// Opens or creates the store in this data directory and takes the directory for this process.
    ///
    /// # Errors
    /// [`domain::Kind::Precondition`]: in use by another process, not writable, not a database, or from a newer build.
    pub fn open(dir: &Path) -> DomainResult<Self> {
        Self::with_ballast(dir, 0)
    }

    /// As [`SqliteStore::open`]; a ballast of so many bytes is given up when a commit finds no room.
    ///
    /// # Errors
    /// As there.
    pub fn with_ballast(dir: &Path, ballast_bytes: u64) -> DomainResult<Self> {
        let lock = open::lock(dir)?;
        let reader = Arc::new(SqliteReader::new(open::file(dir)));
        let marks = Marks::open(dir).map_err(|error| open::unwritable(dir, &error))?;
        let ballast = Arc::new(Ballast::new(dir, ballast_bytes));
        let (interned, dir) = (Interned::default(), dir.to_owned());
        let (conn, checkpoints, beforehand, acknowledged) = (None, None, None, None);
        let mut store =
            Self { dir, conn, checkpoints, beforehand, interned, acknowledged, marks, ballast, reader, _lock: lock };
        store.reopen()?;
        Ok(store)
    }

    /// What is given up when a commit finds no room.
    pub fn ballast(&self) -> Arc<Ballast> {
        Arc::clone(&self.ballast)
    }

    /// Opens the file; if there is no room for that, without the ballast.
    fn reopen(&mut self) -> DomainResult<()> {
        let mut opened = open::writer(&self.dir);
        if opened.as_ref().is_err_and(|error| error.kind() == Kind::Exhausted) && self.ballast.give_up() {
            opened = open::writer(&self.dir);
        }
        let mut conn = opened?;
        let checkpoints = Checkpoints::start(&self.dir, &mut conn);
        let no_thread = |error| Error::internal(format!("the store's thread for checkpoints cannot start: {error}"));
        self.checkpoints = Some(checkpoints.map_err(no_thread)?);
        self.conn = Some(conn);
        Ok(())
    }

    fn conn(&self) -> Result<&Connection, Failure> {
        self.conn.as_ref().ok_or_else(closed)
    }

    /// One transaction; if it finds no room, once more without the ballast. What it failed at decides whether the
    /// connection can be used again.
    fn change<T>(
        &mut self,
        change: impl Fn(&Connection, &mut Interned) -> Result<(T, Watermark), Failure>,
    ) -> Result<T, Failure> {
        let Self { conn, interned, ballast, .. } = self;
        let Some(conn) = conn else { return Err(closed()) };
        let mut done = write(conn, |conn| change(conn, interned));
        if matches!(done, Err(Failure::Definite(Reason::Full))) && ballast.give_up() {
            interned.forget();
            done = write(conn, |conn| change(conn, interned));
        }
        match &done {
            Ok((_, mark)) => {
                self.marks.remember(mark);
                self.acknowledged = Some(mark.clone());
            }
            Err(Failure::Definite(Reason::StaleEpoch | Reason::Clash | Reason::Full)) => self.interned.forget(),
            Err(Failure::Definite(Reason::Other(_)) | Failure::Unknown(_)) => self.close(),
        }
        done.map(|(done, _)| done)
    }

    /// What the step after this one deletes is read meanwhile.
    fn expired(&mut self, step: &Expiry, expired: &Expired) {
        let Some(after) = expired.next else { return };
        if self.beforehand.is_none() {
            self.beforehand = Beforehand::start(Arc::clone(&self.reader));
        }
        if let Some(beforehand) = &self.beforehand {
            beforehand.tell(Expiry { after, ..*step });
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
            self.reopen().map_err(|error| {
                let full = error.kind() == Kind::Exhausted;
                Failure::Definite(if full { Reason::Full } else { Reason::Other(error.to_string()) })
            })?;
        }
        // Read before the new epoch is remembered.
        let remembered = self.marks.last.clone();
        let restored = examine::restored(&self.dir);
        let opened = self.change(|conn, _| {
            let sql = "UPDATE meta SET epoch = epoch + 1 RETURNING store_id, epoch, commit_no";
            let mark = conn.query_row(sql, [], accept::mark).map_err(fault)?;
            let (losses, seal) = (accept::losses(conn)?, accept::seal(conn)?);
            Ok(((mark.clone(), losses, seal), mark))
        });
        if opened.is_err() {
            self.close();
        }
        let (Watermark { store_id, epoch, commit }, losses, seal) = opened?;
        Ok(Opened { store_id, epoch, commit, remembered, restored, losses, seal })
    }

    fn remember(&mut self, remembered: &Watermark) {
        self.marks.remember(remembered);
        self.marks.sync();
    }

    fn accept_loss(&mut self, at: UnixMillis, remembered: &[Watermark]) -> Result<(), Failure> {
        let mark = self.change(|conn, _| {
            let mark = accept::accept(conn, at, remembered)?;
            Ok((mark.clone(), mark))
        })?;
        self.marks.replace(&mark);
        examine::forget_restored(&self.dir).map_err(|error| Failure::Definite(Reason::Other(error.to_string())))
    }

    fn load(&mut self) -> Result<Loaded, Failure> {
        load::load(self.conn()?)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Failure> {
        let acknowledged = self.acknowledged.clone();
        self.change(|conn, interned| {
            let commit = Commit(uint(apply::apply(conn, interned, batch)?));
            Ok((commit, accept::moved(conn, acknowledged.as_ref(), batch.epoch, commit)?))
        })
    }

    fn fence(&mut self, epoch: Epoch) -> Result<(), Failure> {
        apply::fence(self.conn()?, epoch)
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

    fn commit_expiring(&mut self, batch: &Batch, step: &Expiry) -> Result<(Commit, Expired), Failure> {
        let acknowledged = self.acknowledged.clone();
        let (commit, expired) = self.change(|conn, interned| {
            let start = Instant::now();
            let commit = Commit(uint(apply::apply(conn, interned, batch)?));
            let step = Expiry { time: step.time.max(start.elapsed() / EXPIRY_SHARE), ..*step };
            let expired = expire::expire(conn, &step)?;
            Ok(((commit, expired), accept::moved(conn, acknowledged.as_ref(), batch.epoch, commit)?))
        })?;
        self.expired(step, &expired);
        Ok((commit, expired))
    }

    fn expire(&mut self, epoch: Epoch, step: &Expiry) -> Result<Expired, Failure> {
        let acknowledged = self.acknowledged.clone();
        let expired = self.change(|conn, _| {
            apply::fence(conn, epoch)?;
            let before = conn.total_changes();
            let expired = expire::expire(conn, step)?;
            // Whatever changes anything has a number: the watermark must miss it if it is lost.
            let commit = if conn.total_changes() == before { None } else { Some(accept::number(conn)?) };
            let commit = commit.or(acknowledged.as_ref().map(|mark| mark.commit)).unwrap_or_default();
            Ok((expired, accept::moved(conn, acknowledged.as_ref(), epoch, commit)?))
        })?;
        self.expired(step, &expired);
        Ok(expired)
    }

    fn keep_token(&mut self, epoch: Epoch, token: &Token, remove: &[TokenId]) -> Result<Commit, Failure> {
        let acknowledged = self.acknowledged.clone();
        self.change(|conn, _| {
            apply::fence(conn, epoch)?;
            tokens::keep(conn, token, remove)?;
            let commit = accept::number(conn)?;
            Ok((commit, accept::moved(conn, acknowledged.as_ref(), epoch, commit)?))
        })
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }
}

fn closed() -> Failure {
    Failure::Definite(Reason::Other("closed after a failure; a new reign opens it".into()))
}

/// One transaction. A failure before COMMIT is definite and rolled back; of COMMIT itself nobody knows, with one exception:
/// no room. It is the write that failed then, not the sync, which is another error; what is written last is what makes the
/// transaction count; and what could fail after it, a checkpoint, is none of COMMIT's business here ([`checkpoint`]).
fn write<T>(conn: &Connection, change: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
    statement(conn, "BEGIN IMMEDIATE").map_err(fault)?;
    let _on_the_way_out = RollBack(conn);
    let changed = change(conn)?;
    statement(conn, "COMMIT").map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Failure::Definite(Reason::Full),
        Some(_) | None => Failure::Unknown(error.to_string()),
    })?;
    Ok(changed)
}

/// Prepared once, which `rusqlite::Transaction` does each time.
fn statement(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}

/// Rolls back what is not committed when it is dropped.
struct RollBack<'c>(&'c Connection);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // One that fails leaves the connection in a transaction: the next BEGIN says so, and the store is opened anew.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
