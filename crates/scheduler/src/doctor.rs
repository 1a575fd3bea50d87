//! The doctor's look at a data directory: what it is, what it lies on, and what is wrong with either.
//!
//! Must never change anything but a file of its own, which it removes.

use crate::disk::space;
use service::show_size;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use store::ballast;
use store::sqlite::examine::{self, Examined};

/// Writes that are measured.
const SYNCS: usize = 50;
/// What each of them writes: a page.
const SYNC_BYTES: usize = 4_096;
/// A commit waits for a sync: beyond this, everybody notices.
const SLOW: Duration = Duration::from_millis(100);
/// Descriptors that a service needs for its connections, with some to spare.
const FILES: u64 = 20_000;
/// The file that is written.
const TRIAL: &str = ".doctor";

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Warning,
    /// Wrong.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub text: String,
}

impl Finding {
    /// As it should be.
    pub fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, name, text: text.into() }
    }

    /// Worth knowing.
    pub fn warning(name: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, name, text: text.into() }
    }

    /// Wrong.
    pub fn bad(name: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, name, text: text.into() }
    }
}

/// Looks at this machine, and at a data directory if there is one.
pub fn examine(data_dir: &Path, min_free_bytes: u64) -> Vec<Finding> {
    let mut findings =
        vec![Finding::good("sqlite", format!("{}, part of this program", examine::sqlite_version())), files()];
    if !data_dir.is_dir() {
        let text = format!("no data directory at {}: nothing to look at there (--data-dir)", data_dir.display());
        findings.push(Finding::warning("data directory", text));
        return findings;
    }
    findings.push(disk(data_dir, min_free_bytes));
    findings.push(ballast(data_dir));
    findings.push(syncs(data_dir));
    findings.extend(store(data_dir));
    findings
}

fn files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(files) if files < FILES => {
            let text = format!("{files} open files are allowed; a service with many clients needs {FILES} (ulimit -n)");
            Finding::warning("open files", text)
        }
        Some(files) => Finding::good("open files", format!("{files} are allowed")),
        None => Finding::good("open files", "without limit"),
    }
}

fn disk(dir: &Path, min_free_bytes: u64) -> Finding {
    match space(dir) {
        Err(error) => Finding::bad("disk", format!("{}: {error}", dir.display())),
        Ok(space) => {
            let text = format!("{} of {} free at {}", show_size(space.free), show_size(space.total), dir.display());
            if space.free < min_free_bytes {
                Finding::bad("disk", format!("{text}: less than --min-free-disk {}", show_size(min_free_bytes)))
            } else {
                Finding::good("disk", text)
            }
        }
    }
}

fn ballast(dir: &Path) -> Finding {
    match fs::metadata(dir.join(ballast::FILE)) {
        Ok(meta) => Finding::good("ballast", show_size(meta.len())),
        Err(_) => Finding::warning("ballast", "none: it was given up on a full disk, or never made"),
    }
}

/// How long it takes here until bytes are on disk.
pub fn syncs(dir: &Path) -> Finding {
    let path = dir.join(TRIAL);
    let measured = measure(&path);
    let _ = fs::remove_file(&path);
    match measured {
        Err(error) => Finding::bad("fsync", format!("{}: {error}", dir.display())),
        Ok(mut times) => {
            times.sort();
            let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
            let (half, most) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
            let text = format!("p50 {:.1?}, p99 {:.1?} of {SYNCS}", half, most);
            if most > SLOW {
                Finding::warning("fsync", format!("{text}: every commit waits for one"))
            } else {
                Finding::good("fsync", text)
            }
        }
    }
}

fn measure(path: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0; SYNC_BYTES])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn store(dir: &Path) -> Vec<Finding> {
    let file = examine::file(dir);
    if !file.exists() {
        return vec![Finding::warning("store", format!("none yet in {}", dir.display()))];
    }
    let Examined { mark, schema, tasks, running } = match examine::examine(&file) {
        Ok(examined) => examined,
        Err(error) => return vec![Finding::bad("store", error.to_string())],
    };
    let text = format!("{}, schema {schema}, {tasks} tasks, {running} with workers", mark.store_id);
    let mut findings = vec![Finding::good("store", text)];
    findings.push(match examine::remembered(dir) {
        None => Finding::warning("watermark", format!("commit {}, epoch {}; nothing remembers more", mark.commit.0, mark.epoch.0)),
        Some(seen) if seen.store_id != mark.store_id => {
            Finding::bad("watermark", format!("the directory was that of the store {}", seen.store_id))
        }
        Some(seen) if seen.commit > mark.commit || seen.epoch > mark.epoch => Finding::bad(
            "watermark",
            format!(
                "the store ends at commit {}, epoch {}, and {}, {} was acknowledged: put the newest data back, or start the \
                 scheduler once with --accept-data-loss {}",
                mark.commit.0, mark.epoch.0, seen.commit.0, seen.epoch.0, mark.commit.0
            ),
        ),
        Some(_) => Finding::good("watermark", format!("commit {}, epoch {}", mark.commit.0, mark.epoch.0)),
    });
    if dir.join(examine::RESTORED).exists() {
        let text = format!("from a backup: start the scheduler once with --accept-data-loss {}", mark.commit.0);
        findings.push(Finding::bad("restored", text));
    }
    findings.push(match examine::quick_check(&file) {
        Ok(found) if found.is_empty() => Finding::good("check", "every page is whole"),
        Ok(found) => Finding::bad("check", found.join("; ")),
        Err(error) => Finding::bad("check", error.to_string()),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::store::{Store as _, sqlite::SqliteStore};

    fn verdict(findings: &[Finding], name: &str) -> Option<Verdict> {
        findings.iter().find(|finding| finding.name == name).map(|finding| finding.verdict)
    }

    #[test]
    fn a_sound_directory_is_good_and_one_that_is_behind_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let none = examine(&dir.path().join("none"), 0);
        assert_eq!(verdict(&none, "data directory"), Some(Verdict::Warning));
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let opened = store.begin().unwrap();
        let found = examine(dir.path(), 0);
        assert!(found.iter().all(|finding| finding.verdict < Verdict::Bad), "{found:?}");
        assert_eq!(verdict(&found, "watermark"), Some(Verdict::Good));
        assert!(!dir.path().join(TRIAL).exists());
        let commit = domain::Commit(opened.commit.0 + 7);
        store.remember(&::store::Watermark { store_id: opened.store_id, epoch: opened.epoch, commit });
        let found = examine(dir.path(), u64::MAX);
        assert_eq!((verdict(&found, "watermark"), verdict(&found, "disk")), (Some(Verdict::Bad), Some(Verdict::Bad)));
    }
}
