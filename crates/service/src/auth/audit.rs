//! The audit log: who changed what from where, and who was turned away; one JSON object a line, only ever appended to.
//!
//! Lines are handed to a thread of its own and written within [`PAUSE`], without a sync: a killed process loses at most those
//! of its last moment, one that stops loses none. Must never hold up a call: when [`LINES`] wait, further ones are dropped,
//! counted, and the next line that is written says how many are missing. Must never hold a secret.

use crate::Fatal;
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Lines that wait for the disk at most: a second of a busy service.
const LINES: usize = 16_384;
/// Between two writes: to wake the thread for each call would cost more than the line does, and be the caller's time.
const PAUSE: Duration = Duration::from_millis(10);
/// A file of this size is put aside and a new one begun …
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// … and so many of those are kept: `audit.log.1` is the youngest.
const FILES: usize = 10;
/// Targets of one call that are named; behind them only their number.
const TARGETS: usize = 100;

/// The log. Clones share it; the last one to go waits until all lines are written.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Lines>);

/// The way to the thread.
#[derive(Debug)]
struct Lines {
    /// `None` only while it is dropped.
    waiting: Option<SyncSender<Map<String, Value>>>,
    missing: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.waiting = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            drop(thread.join());
        }
    }
}

/// A call that changed something, or tried to.
pub(super) struct Did<'a> {
    pub who: &'a str,
    pub name: Option<&'a str>,
    pub on_behalf: Option<&'a str>,
    pub on_behalf_name: Option<&'a str>,
    pub peer: &'a str,
    pub method: &'a str,
    pub target: &'a str,
    pub outcome: &'a str,
    /// Why it was refused, if it was.
    pub detail: Option<&'a str>,
}

impl Audit {
    /// Opens the log, and starts its thread, which ends with the last clone.
    ///
    /// # Errors
    /// [`Fatal`]: the file can't be written.
    pub fn open(path: &Path) -> Result<Self, Fatal> {
        let broken = |error: io::Error| Fatal::new(format!("audit log {} cannot be written: {error}", path.display()));
        let log = Log::open(path.to_owned()).map_err(broken)?;
        let (lines, waiting) = sync_channel(LINES);
        let missing = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&missing);
        let write = move || write(log, &waiting, &counted);
        let thread = thread::Builder::new().name("audit".into()).spawn(write).map_err(broken)?;
        Ok(Self(Arc::new(Lines { waiting: Some(lines), missing, thread: Some(thread) })))
    }

    pub(super) fn did(&self, did: &Did<'_>) {
        let Did { who, name, on_behalf, on_behalf_name, peer, method, target, outcome, detail } = did;
        let fields = [
            ("who", Some(*who)),
            ("name", *name),
            ("for", *on_behalf),
            ("for_name", *on_behalf_name),
            ("peer", Some(*peer)),
            ("call", Some(*method)),
            ("target", Some(*target)),
            ("outcome", Some(*outcome)),
            ("detail", *detail),
        ];
        self.put(&fields);
    }

    /// `why` is one of few words, `detail` what the caller was told.
    pub(super) fn refused(&self, peer: &str, method: &str, why: &str, detail: &str) {
        let (outcome, why, detail) = (Some("refused"), Some(why), Some(detail));
        let (peer, method) = (Some(peer), Some(method));
        self.put(&[("peer", peer), ("call", method), ("outcome", outcome), ("reason", why), ("detail", detail)]);
    }

    fn put(&self, fields: &[(&str, Option<&str>)]) {
        let mut line = Map::new();
        line.insert("time".into(), jiff::Timestamp::now().to_string().into());
        let said = fields.iter().filter_map(|(name, value)| value.filter(|v| !v.is_empty()).map(|v| (*name, v)));
        line.extend(said.map(|(name, value)| (name.to_owned(), Value::from(value))));
        match self.0.waiting.as_ref().map(|waiting| waiting.try_send(line)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                self.0.missing.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("baton_audit_lines_dropped_total").increment(1);
            }
        }
    }
}

/// What a call was about: said by the one who answers it, written down when it is answered.
#[derive(Clone, Debug, Default)]
pub struct Note {
    targets: Arc<Mutex<Targets>>,
    /// For what turns out while a stream goes on.
    later: Option<Arc<Later>>,
}

/// Whose call it is, and where that is written down.
#[derive(Debug)]
pub(super) struct Later {
    pub audit: Audit,
    pub who: String,
    pub name: Option<Arc<str>>,
    pub peer: String,
    pub method: String,
}

#[derive(Debug, Default)]
struct Targets {
    named: Vec<(String, Option<String>)>,
    others: usize,
    refusal: Option<String>,
}

impl Note {
    pub(super) fn new(later: Option<Later>) -> Self {
        Self { targets: Arc::default(), later: later.map(Arc::new) }
    }

    /// Writes down at once what the call was about and how that ended: its answer began before anybody knew.
    pub fn write(&self, target: &str, outcome: &str) {
        let Some(later) = &self.later else { return };
        let Later { audit, who, name, peer, method } = &**later;
        let (on_behalf, on_behalf_name, detail) = (None, None, None);
        let name = name.as_deref();
        audit.did(&Did { who, name, on_behalf, on_behalf_name, peer, method, target, outcome, detail });
    }

    /// The note of a call, if it is one that is written down.
    pub fn about(extensions: &axum::http::Extensions, target: impl FnOnce() -> String) {
        if let Some(note) = extensions.get::<Self>() {
            note.add(target(), None);
        }
    }

    /// The call was about this, and somebody asked for it through the one who calls.
    pub fn add(&self, target: String, on_behalf: Option<String>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if targets.named.len() < TARGETS {
            targets.named.push((target, on_behalf));
        } else {
            targets.others += 1;
        }
    }

    /// Whoever answers refuses it, for this reason.
    pub fn refuse(&self, why: &str) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).refusal = Some(why.to_owned());
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    /// One for each of those who asked: what they asked for. `on_behalf` is what the whole call was made for; `believed`:
    /// what was said of single targets counts.
    pub(super) fn targets(&self, on_behalf: Option<&str>, believed: bool) -> Vec<(String, Option<String>)> {
        let targets = std::mem::take(&mut *self.targets.lock().unwrap_or_else(PoisonError::into_inner));
        let mut lines: Vec<(String, Option<String>)> = Vec::new();
        for (target, by) in targets.named {
            let by = by.filter(|_| believed).or_else(|| on_behalf.map(ToOwned::to_owned));
            match lines.iter_mut().find(|(_, known)| *known == by) {
                Some((text, _)) => {
                    text.push(' ');
                    text.push_str(&target);
                }
                None => lines.push((target, by)),
            }
        }
        if let Some((text, _)) = lines.last_mut()
            && targets.others > 0
        {
            text.push_str(&format!(" and {} more", targets.others));
        }
        if lines.is_empty() {
            lines.push((String::new(), on_behalf.map(ToOwned::to_owned)));
        }
        lines
    }
}

/// The file, and how large it is.
struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + lines.len() as u64 > FILE_BYTES {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let name = |n: usize| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..FILES).rev() {
            match fs::rename(name(n), name(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, name(1))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

/// Writes what waits, as much as there is in one go.
fn write(mut log: Log, waiting: &Receiver<Map<String, Value>>, missing: &AtomicU64) {
    while let Ok(first) = waiting.recv() {
        let mut lines = Vec::new();
        let lost = missing.swap(0, Ordering::Relaxed);
        if lost > 0 {
            line(&mut lines, &json!({ "time": jiff::Timestamp::now().to_string(), "missing": lost }));
        }
        line(&mut lines, &Value::Object(first));
        while lines.len() < 256 * 1024
            && let Ok(next) = waiting.try_recv()
        {
            line(&mut lines, &Value::Object(next));
        }
        if let Err(error) = log.append(&lines) {
            let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            missing.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("baton_audit_lines_dropped_total").increment(count);
            tracing::error!(%error, lines = count, "The audit log cannot be written");
        }
        thread::sleep(PAUSE);
    }
}

/// JSON escapes control characters, so that nothing that a caller says begins a line or moves a cursor.
fn line(lines: &mut Vec<u8>, value: &Value) {
    lines.extend_from_slice(value.to_string().as_bytes());
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stand_with_those_who_asked_for_them() {
        let note = Note::default();
        note.add("a".into(), Some("token:1".into()));
        note.add("b".into(), Some("token:2".into()));
        note.add("c".into(), Some("token:1".into()));
        let some = |text: &str| Some(text.to_owned());
        let expected = vec![("a c".to_owned(), some("token:1")), ("b".to_owned(), some("token:2"))];
        assert_eq!(note.targets(None, true), expected);
        note.add("a".into(), Some("token:1".into()));
        assert_eq!(note.targets(None, false), [("a".to_owned(), None)], "not believed");
        assert_eq!(note.targets(Some("token:9"), true), [(String::new(), some("token:9"))]);
        (0..150).for_each(|n| note.add(n.to_string(), None));
        assert!(note.targets(None, true)[0].0.ends_with(" 99 and 50 more"));
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut log = Log::open(path.clone()).unwrap();
        for n in 0..FILES + 3 {
            log.bytes = FILE_BYTES;
            log.append(format!("{n}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", FILES + 2));
        assert_eq!(fs::read_to_string(dir.path().join("audit.log.1")).unwrap(), format!("{}\n", FILES + 1));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), FILES + 1);
    }

    #[test]
    fn the_last_to_go_waits_until_all_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let audit = Audit::open(&path).unwrap();
        let clone = audit.clone();
        for n in 0..100 {
            audit.refused("1.2.3.4:5", &n.to_string(), "denied", "not yours");
        }
        drop((audit, clone));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
    }

    #[test]
    fn what_a_caller_says_stays_on_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let audit = Audit::open(&path).unwrap();
        audit.refused("1.2.3.4:5", "GET /x\n{\"who\":\"admin\"}\u{1b}[2J", "unauthenticated", "no token");
        while fs::read_to_string(&path).unwrap().is_empty() {
            thread::yield_now();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), text.contains('\u{1b}')), (1, false), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["outcome"], &line["reason"]), (&json!("refused"), &json!("unauthenticated")));
    }
}
