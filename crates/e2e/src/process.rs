//! One running program: started, watched for its line, signalled, waited for; never left behind.

use crate::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

/// A program that runs until it is told to end.
pub struct Process {
    name: String,
    child: Child,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; its stderr goes to a file in `dir`.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = (0..).map(|n| dir.join(format!("{name}.{n}.log"))).find(|p| !p.exists()).unwrap_or_default();
        let stderr = File::create(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        // Unbounded, but a service prints two lines in its life.
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines();
                lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Self { name: name.to_owned(), child, lines, log }
    }

    /// The next line of its stdout.
    ///
    /// # Panics
    /// If none comes.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("{} says nothing more; its log:\n{}", self.name, self.log()),
        }
    }

    /// Waits for `… service listening on ADDR` and gives the address.
    ///
    /// # Panics
    /// If another line comes, or none.
    pub fn listening(&mut self) -> SocketAddr {
        let line = self.line();
        let address = line.rsplit_once(" service listening on ").and_then(|(_, a)| a.parse().ok());
        address.unwrap_or_else(|| panic!("{} printed {line:?}; its log:\n{}", self.name, self.log()))
    }

    /// As [`Process::listening`]; `None` if it ends without saying that it listens.
    ///
    /// # Panics
    /// If neither happens.
    pub fn listening_or_ended(&mut self) -> Option<SocketAddr> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line.rsplit_once(" service listening on ").and_then(|(_, address)| address.parse().ok()),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{} says nothing; its log:\n{}", self.name, self.log()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        let _ = File::open(&self.log).and_then(|mut f| f.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If that isn't possible.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert_eq!(sent, Some(Ok(())), "{signal:?} to {}", self.name);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it goes on.
    pub fn ended(&mut self) -> ExitStatus {
        let (name, child) = (&self.name, &mut self.child);
        eventually(&format!("the end of {name}"), || child.try_wait().ok().flatten())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// `kill -9`, and waits for its end.
    pub fn kill9(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("---- log of {} ----\n{}", self.name, self.log());
        }
    }
}
