//! Opening: the lock on the data directory, and connections whose settings are read back rather than believed.

use super::{gathered, scattered, schema};
use domain::{Error, Kind, Result};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::{io, path::Path, path::PathBuf, time::Duration};

/// The database's name in the data directory.
const FILE: &str = "tasks.sqlite";
/// Held for as long as the store is open, by the kernel: a killed scheduler leaves nothing behind.
const LOCK: &str = "LOCK";
/// SQLite before this could corrupt a WAL database.
const SQLITE_LEAST: i32 = 3_051_003;
/// Prepared statements kept on a connection: all that a writer uses, and the list queries most asked.
const STATEMENTS: usize = 64;
/// Page caches in KiB: what waits costs disk, and the kernel's cache is there for the rest. A batch dirties a few hundred
/// pages, a reader walks one index at a time.
const WRITER_CACHE_KIB: i64 = 8_192;
const READER_CACHE_KIB: i64 = 2_048;
/// What a killed scheduler's log may keep of the disk: about what it needs under load. Commits write over it, where those of a
/// log that grows wait for the file system's own log as well, and for threads of the kernel.
const LOG_BYTES: u64 = 16 << 20;
/// How long a reader waits for a checkpoint or recovery that blocks it.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The path of the database.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Creates the data directory if need be, and takes it for this process.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let unwritable = |error: io::Error| unwritable(dir, &error);
    fs::create_dir_all(dir).map_err(unwritable)?;
    let path = dir.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unwritable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Kind::Precondition,
            format!("data directory {} is in use by another scheduler", dir.display()),
        )),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

pub(super) fn unwritable(dir: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Precondition, format!("data directory {} cannot be written: {error}", dir.display()))
}

/// The writer's connection, on a file of this build's schema.
pub(super) fn writer(dir: &Path) -> Result<Connection> {
    let path = file(dir);
    let fault = |error: rusqlite::Error| {
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        let kind = if full { Kind::Exhausted } else { Kind::Precondition };
        Error::new(kind, format!("store {} cannot be opened: {error}", path.display()))
    };
    if rusqlite::version_number() < SQLITE_LEAST {
        return Err(Error::internal(format!("SQLite {} can corrupt its log; 3.51.3 is needed", rusqlite::version())));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    gathered::register().map_err(fault)?;
    let mut conn = Connection::open_with_flags_and_vfs(&path, flags, gathered::NAME).map_err(fault)?;
    conn.busy_timeout(BUSY).map_err(fault)?;
    plan_once(&conn).map_err(fault)?;
    scattered::advise(&path);
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
    // `Checkpoints` sees to it.
    conn.pragma_update(None, "wal_autocheckpoint", 0).map_err(fault)?;
    // Negative: in KiB, not in pages.
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(fault)?;
    let synchronous: i64 = conn.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(fault)?;
    if mode != "wal" || synchronous != 2 {
        return Err(Error::internal(format!(
            "store {} would not be durable: journal_mode {mode}, synchronous {synchronous}",
            path.display()
        )));
    }
    schema::migrate(&mut conn)?;
    // What recovery found may be in the kernel's cache alone, even after a sync: one that failed marks its pages as clean.
    // Copying the log back writes all of it anew, to another file, and syncs that. The epoch, which is taken next, begins
    // the log anew with other salts.
    let checkpoint = if log_bytes(&path) > LOG_BYTES { "TRUNCATE" } else { "RESTART" };
    let busy: i64 =
        conn.query_row(&format!("PRAGMA wal_checkpoint({checkpoint})"), [], |row| row.get(0)).map_err(fault)?;
    if busy != 0 {
        return Err(Error::unavailable(format!(
            "store {} is being read; its log can't be copied back",
            path.display()
        )));
    }
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// A statement's plan depends on the statement alone. Otherwise SQLite prepares whatever has a `LIMIT ?` anew each time that it
/// is bound, in case the number leads to a better plan.
fn plan_once(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn log_bytes(database: &Path) -> u64 {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).map_or(0, |log| log.len())
}

/// A connection that copies the log back: it syncs as the writer does.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(conn)
}

/// A connection that can only read.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    scattered::advise(path);
    plan_once(&conn)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}
