//! Looking at a store from outside: for backups, for the doctor, for the check in the background. On connections of its
//! own, beside a scheduler or without one.
//!
//! Must never change a store, and never take it from the scheduler that has it.

pub use super::scattered::InOrder;
use super::{accept, open, scattered, watermark};
use crate::Watermark;
use domain::{Error, Kind, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Put into a data directory by a restore; an operator's acceptance takes it away. Says where the store is from.
pub const RESTORED: &str = "RESTORED";
/// Problems that a check names at most: one is enough to act.
const PROBLEMS: usize = 8;
/// SQLite's steps between two calls of what goes on beside a check.
const STEPS: i32 = 500;

/// What a store says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Examined {
    /// Its id, epoch and last commit.
    pub mark: Watermark,
    /// The version of its tables.
    pub schema: i64,
    /// Tasks in it; an array counts as one.
    pub tasks: u64,
    /// Tasks and members that are with a worker.
    pub running: u64,
}

/// The version of SQLite that this program contains.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// The path of the database in a data directory.
pub fn file(dir: &Path) -> PathBuf {
    open::file(dir)
}

/// What is remembered beside the store.
pub fn remembered(dir: &Path) -> Option<Watermark> {
    watermark::read(dir)
}

/// What a restore left to be accepted.
pub(super) fn restored(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(RESTORED)).ok().map(|text| text.trim().to_owned())
}

pub(super) fn forget_restored(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(RESTORED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What the store in this file says of itself.
///
/// # Errors
/// [`Kind::Precondition`]: there is none, or it can't be read.
pub fn examine(file: &Path) -> Result<Examined> {
    let conn = reader(file)?;
    let fault = |error: rusqlite::Error| unreadable(file, &error.to_string());
    let mark = accept::current(&conn).map_err(|failure| unreadable(file, &failure.to_string()))?;
    let schema = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fault)?;
    let tasks: i64 = conn.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).map_err(fault)?;
    let running = "SELECT (SELECT count(*) FROM tasks WHERE state > 0 AND state < 4 AND is_array IS NULL)
        + (SELECT count(*) FROM members WHERE state > 0 AND state < 4)";
    let running: i64 = conn.query_row(running, [], |row| row.get(0)).map_err(fault)?;
    Ok(Examined { mark, schema, tasks: super::apply::uint(tasks), running: super::apply::uint(running) })
}

/// Checks every page of the store in this file; what is wrong with it, nothing if it is whole. Takes 0.8 s for a million
/// tasks (MEASURED).
///
/// # Errors
/// As [`examine`].
pub fn quick_check(file: &Path) -> Result<Vec<String>> {
    problems(&reader(file)?, file)
}

/// [`quick_check`] of a store that is in use: nobody else's reads and commits wait for what the kernel reads ahead, and
/// `meanwhile` is called on the same thread every few microseconds. It may ask for the file's pages.
///
/// # Errors
/// As [`examine`].
pub fn check_beside(file: &Path, mut meanwhile: impl FnMut(&mut InOrder) + Send + 'static) -> Result<Vec<String>> {
    let mut conn = reader(file)?;
    scattered::advise(file);
    let mut pages = InOrder::of(file);
    let go_on = move || {
        meanwhile(&mut pages);
        false
    };
    conn.progress_handler(STEPS, Some(go_on)).map_err(|error| unreadable(file, &error.to_string()))?;
    problems(&conn, file)
}

fn problems(conn: &Connection, file: &Path) -> Result<Vec<String>> {
    let fault = |error: rusqlite::Error| unreadable(file, &error.to_string());
    let mut statement = conn.prepare(&format!("PRAGMA quick_check({PROBLEMS})")).map_err(fault)?;
    let found =
        statement.query_map([], |row| row.get::<_, String>(0)).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    match found {
        Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").collect()),
        // Damage can be such that the check itself stumbles over it.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Ok(vec![error.to_string()])
        }
        Err(error) => Err(fault(error)),
    }
}

/// Writes the store in this file, as it is at one moment, into a new file, which is synced. The scheduler goes on meanwhile.
///
/// # Errors
/// As [`examine`]; also if there is no room.
pub fn copy(file: &Path, to: &Path) -> Result<()> {
    let conn = reader(file)?;
    let target = to.to_str().ok_or_else(|| unreadable(to, "its name is not UTF-8"))?;
    conn.execute("VACUUM INTO ?1", [target]).map_err(|error| unreadable(file, &error.to_string()))?;
    let synced = fs::File::open(to).and_then(|copy| copy.sync_all());
    synced.map_err(|error| unreadable(to, &error.to_string()))
}

fn reader(file: &Path) -> Result<Connection> {
    if !file.exists() {
        return Err(unreadable(file, "there is none"));
    }
    // Not read-only: after a crash the log has to be recovered before anything can be read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(|error| unreadable(file, &error.to_string()))?;
    conn.busy_timeout(open::BUSY).map_err(|error| unreadable(file, &error.to_string()))?;
    Ok(conn)
}

fn unreadable(file: &Path, why: &str) -> Error {
    Error::new(Kind::Precondition, format!("store {}: {why}", file.display()))
}
