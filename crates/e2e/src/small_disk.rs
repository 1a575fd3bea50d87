//! A small disk: a tmpfs in a mount namespace of its own, so that it goes with its holder and nobody else sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io};

/// Holds the namespace, and with it the disk.
pub struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many bytes over this directory; `None` where that isn't allowed.
    pub fn mount(dir: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(dir).ok()?;
        let script = format!("mount -t tmpfs -o size={bytes} tmpfs \"$1\" && echo mounted && exec cat");
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(dir);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        let said = holder.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let disk = Self { holder, dir: dir.to_owned() };
        matches!(said, Some(Ok(n)) if n > 0).then_some(disk)
    }

    /// The beginning of a command line that runs the rest where the disk is seen.
    pub fn prefix(&self) -> Vec<String> {
        ["nsenter", "-m", "-t", &self.holder.id().to_string(), "--"].map(str::to_owned).to_vec()
    }

    /// A file on it, as it is reached from outside.
    pub fn outside(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(self.dir.strip_prefix("/").unwrap_or(&self.dir)).join(name)
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// If the disk is gone.
    pub fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(self.outside("")).unwrap_or_else(|e| panic!("statvfs: {e}"));
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it until so many bytes are left.
    ///
    /// # Panics
    /// If that isn't possible.
    pub fn fill(&self, left: u64) {
        let path = self.outside("filler");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        loop {
            let more = self.free().saturating_sub(left).min(1 << 20);
            let block = vec![b'x'; usize::try_from(more).unwrap_or(0)];
            match file.write_all(&block) {
                Ok(()) if more < 4_096 => return,
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Gives back what was filled.
    ///
    /// # Panics
    /// If that isn't possible.
    pub fn empty(&self) {
        fs::remove_file(self.outside("filler")).unwrap_or_else(|e| panic!("{e}"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
