//! The disk under the data directory: whether there is room for new tasks, and for output.
//!
//! Three lines of defence, in this order: below `--min-free-disk` nothing new is accepted; output stops where it would
//! take the room that results and cancels need; and the ballast gives them room when there is none at all. All of it heals
//! by itself. Must never stand in the way of a read, a cancel or a result.

use domain::{Error, Kind, Result};
use service::Readiness;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, path::Path, path::PathBuf};
use store::ballast::Ballast;

/// A look is that old at most when a submit is judged by it: what can be written meanwhile is far less than the default of
/// `--min-free-disk`.
const FRESH: Duration = Duration::from_millis(100);
/// How often somebody looks though nobody asks: so soon a disk that has room again is noticed.
const EVERY: Duration = Duration::from_secs(1);
/// What is waited for, on /readyz.
const DISK: &str = "disk";
/// After the ballast could not be made, it isn't tried again for so long.
const BALLAST_AGAIN: Duration = Duration::from_secs(5);

/// The disk, watched.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    /// 0: off.
    min_free_bytes: u64,
    ballast: Arc<Ballast>,
    readiness: Readiness,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    space: Space,
}

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// Bytes that this process may use.
    pub free: u64,
    /// Bytes of the whole file system.
    pub total: u64,
}

/// The space under this directory.
///
/// # Errors
/// The directory is gone.
pub(crate) fn space(dir: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}

impl Disk {
    pub fn new(dir: &Path, min_free_bytes: u64, ballast: Arc<Ballast>, readiness: Readiness) -> Arc<Self> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Arc::new(Self { dir, min_free_bytes, ballast, readiness, seen: Mutex::new(None) })
    }

    /// Looks after it until dropped: readiness, metrics, and the ballast.
    pub async fn watch(self: Arc<Self>) {
        let (mut short, mut tried) = (false, None::<Instant>);
        loop {
            let space = self.look(Duration::ZERO);
            if tried.is_none_or(|at| at.elapsed() >= BALLAST_AGAIN) {
                tried = self.refill(space).then(Instant::now);
            }
            match self.shortage(space) {
                Some(text) => {
                    if !short {
                        tracing::error!(reason = text, "Nothing new is accepted; reads, cancels and results go on");
                    }
                    self.readiness.waiting(DISK, text);
                    short = true;
                }
                None => {
                    if short {
                        tracing::info!(free_bytes = space.free, "The disk has room again");
                    }
                    self.readiness.done(DISK);
                    short = false;
                }
            }
            metrics::gauge!("baton_disk_free_bytes").set(space.free as f64);
            metrics::gauge!("baton_ballast_bytes").set(if self.ballast.is_held() {
                self.ballast.bytes() as f64
            } else {
                0.0
            });
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Whether new tasks have room.
    ///
    /// # Errors
    /// [`Kind::Exhausted`], naming the disk and the flag.
    pub fn check(&self) -> Result<()> {
        match self.shortage(self.look(FRESH)) {
            Some(text) => Err(Error::new(Kind::Exhausted, text)),
            None => Ok(()),
        }
    }

    /// Whether so many bytes of output leave the room that results and cancels need.
    pub fn takes_output(&self, bytes: usize) -> bool {
        let space = self.look(FRESH);
        let reserve = if self.ballast.is_held() { 0 } else { self.ballast.bytes() };
        space.free >= reserve.saturating_add(bytes as u64)
    }

    /// A look that is no older than this. What can't be looked at counts as free: the writes themselves will tell.
    fn look(&self, age: Duration) -> Space {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.filter(|seen| seen.at.elapsed() < age) {
            return seen.space;
        }
        let space = space(&self.dir).unwrap_or(Space { free: u64::MAX, total: u64::MAX });
        *seen = Some(Seen { at: Instant::now(), space });
        space
    }

    /// What is wrong, for people.
    fn shortage(&self, space: Space) -> Option<String> {
        let (dir, free) = (self.dir.display(), service::show_size(space.free));
        if space.free < self.min_free_bytes {
            let least = service::show_size(self.min_free_bytes);
            return Some(format!("the scheduler's disk at {dir} has {free} free, less than --min-free-disk {least}"));
        }
        if self.ballast.is_given_up() {
            let ballast = service::show_size(self.ballast.bytes());
            let text =
                format!("the scheduler's disk at {dir} was full and has {free} free, too little for the ballast");
            return Some(format!("{text} of {ballast} (--ballast) above --min-free-disk"));
        }
        None
    }

    /// Makes the ballast if there is room for it and for what shall be free besides. True if it could not be made.
    fn refill(&self, space: Space) -> bool {
        let needed = self.min_free_bytes.saturating_add(self.ballast.bytes());
        if self.ballast.is_held() || self.ballast.bytes() == 0 || space.free < needed {
            return false;
        }
        match self.ballast.make() {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "The ballast cannot be made");
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(min_free: u64, ballast: u64, dir: &Path) -> Arc<Disk> {
        Disk::new(dir, min_free, Arc::new(Ballast::new(dir, ballast)), Readiness::default())
    }

    #[test]
    fn too_little_room_is_named_with_disk_and_flag() {
        let dir = tempfile::tempdir().unwrap();
        let error = disk(u64::MAX, 0, dir.path()).check().unwrap_err();
        assert_eq!(error.kind(), Kind::Exhausted);
        let text = error.text();
        assert!(text.contains(&*dir.path().to_string_lossy()) && text.contains("--min-free-disk"), "{text}");
        assert_eq!(disk(0, 0, dir.path()).check(), Ok(()), "0 is off");
    }

    #[test]
    fn without_its_ballast_the_disk_counts_as_full_and_output_leaves_that_much() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(0, 4_096, dir.path());
        let free = disk.look(Duration::ZERO);
        assert_eq!(disk.check(), Ok(()), "not made yet, and there is room");
        assert!(!disk.refill(free) && disk.ballast.is_held());
        assert!(disk.ballast.give_up() && disk.check().is_err());
        assert!(disk.takes_output(1_000) && !disk.takes_output(usize::MAX));
        assert!(!disk.refill(Space { free: 4_095, total: 1 << 40 }));
        assert!(!disk.ballast.is_held(), "it would leave no room");
        assert!(!disk.refill(free));
        assert_eq!(disk.check(), Ok(()));
    }
}
