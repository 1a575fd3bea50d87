//! A real Docker engine of a test's own: Debian's dockerd with all that it has in one directory, and one image.

use crate::{PATIENCE, Process, eventually, sweep};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The image that it has: the commands of busybox, and a shell.
pub const IMAGE: &str = "busybox:test";
/// Set by `make test`: what can't be had is a failure there.
const REQUIRED: &str = "BATON_TEST_DOCKER";
/// What the image's commands are called.
const APPLETS: [&str; 12] =
    ["sh", "cat", "echo", "env", "false", "head", "kill", "printf", "seq", "sleep", "tr", "true"];

/// An engine that ends with this, and with it all its containers.
pub struct Engine {
    dir: TempDir,
    process: Option<Process>,
}

impl Engine {
    /// Starts one and gives it the image. `None`: this machine can't, which is said loudly.
    ///
    /// # Panics
    /// If it can't under `make test`, or what should work doesn't.
    pub fn start() -> Option<Self> {
        let dir = TempDir::with_prefix("baton-docker-").unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let mut engine = Self { dir, process: None };
        match engine.serve().and_then(|()| engine.import()) {
            Ok(()) => Some(engine),
            Err(why) => {
                assert!(std::env::var_os(REQUIRED).is_none(), "no Docker engine can be started here: {why}");
                println!("\n*** SKIPPED: no Docker engine can be started here: {why}\n");
                None
            }
        }
    }

    /// As `--docker-host` says it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// Starts dockerd, on the same data as before, and waits until it answers.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn serve(&mut self) -> Result<(), String> {
        let dir = self.dir.path();
        let said = |e: std::io::Error| e.to_string();
        // Whatever the machine's own engine is told.
        fs::write(dir.join("daemon.json"), "{}").map_err(said)?;
        // Left by one that was killed.
        let _ = fs::remove_file(dir.join("docker.pid"));
        let mut command = Command::new("dockerd");
        command.arg("--config-file").arg(dir.join("daemon.json"));
        command.arg("--data-root").arg(dir.join("data")).arg("--exec-root").arg(dir.join("exec"));
        command.arg("--pidfile").arg(dir.join("docker.pid")).args(["--host", &self.host()]);
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]);
        command.args(["--containerd-namespace=baton-test", "--containerd-plugins-namespace=baton-test-plugins"]);
        if Command::new("dockerd").arg("--version").output().is_err() {
            return Err("there is no dockerd; on Debian it is in docker.io".to_owned());
        }
        let mut process = Process::start("dockerd", dir, &mut command);
        let up = eventually("an answer of dockerd", || match self.answers() {
            true => Some(true),
            false => process.has_ended().then_some(false),
        });
        if !up {
            return Err(format!("dockerd has ended; its log:\n{}", process.log()));
        }
        self.process = Some(process);
        Ok(())
    }

    fn answers(&self) -> bool {
        let ping = || {
            let mut socket = UnixStream::connect(self.socket())?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer).map(|_| answer)
        };
        ping().is_ok_and(|answer| answer.ends_with("OK"))
    }

    /// `kill -9` of dockerd; what it has started goes on.
    pub fn kill(&mut self) {
        self.process.take().iter_mut().for_each(Process::kill9);
    }

    /// Its own command line; gives what that prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn docker(&self, args: &[&str]) -> String {
        let output = Command::new("docker").args(["--host", &self.host()]).args(args).output();
        let output = output.unwrap_or_else(|e| panic!("docker: {e}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "docker {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Names of all containers, in whatever state.
    pub fn containers(&self) -> Vec<String> {
        self.docker(&["ps", "--all", "--format", "{{.Names}}"]).lines().map(str::to_owned).collect()
    }

    /// Waits until there is none.
    pub fn empty(&self, after: &str) {
        eventually(&format!("no container after {after}"), || self.containers().is_empty().then_some(()));
    }

    /// The image, from a statically linked busybox: no registry is asked.
    fn import(&self) -> Result<(), String> {
        let root = self.dir.path().join("root");
        let busybox = busybox().ok_or("there is no busybox; on Debian it is in busybox-static")?;
        fs::create_dir_all(root.join("bin")).map_err(|e| e.to_string())?;
        fs::copy(busybox, root.join("bin/busybox")).map_err(|e| e.to_string())?;
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).map_err(|e| e.to_string())?;
        }
        let tree = Command::new("tar").arg("-C").arg(&root).args(["-c", "."]).stdout(Stdio::piped()).spawn();
        let tree = tree.map_err(|e| format!("tar: {e}"))?.stdout.ok_or("tar without output")?;
        let imported = Command::new("docker").args(["--host", &self.host(), "import", "-", IMAGE]).stdin(tree).output();
        let imported = imported.map_err(|e| format!("docker: {e}"))?;
        let says = String::from_utf8_lossy(&imported.stderr).into_owned();
        if imported.status.success() { Ok(()) } else { Err(format!("docker import: {says}")) }
    }
}

fn busybox() -> Option<&'static Path> {
    ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.exists())
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_some() || self.serve().is_ok() {
            // While it lives: what it leaves behind is nobody's.
            for name in self.containers() {
                let _ = Command::new("docker").args(["--host", &self.host(), "rm", "--force", &name]).output();
            }
        }
        if let Some(process) = &mut self.process
            && !process.has_ended()
        {
            process.signal(Signal::TERM);
            process.ended();
        }
        self.process = None;
        sweep(self.dir.path());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if Path::new(mount).starts_with(self.dir.path()) {
                let _ = Command::new("umount").args(["--lazy", mount]).output();
            }
        }
    }
}
