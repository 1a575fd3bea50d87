//! A scheduler, a gateway and workers as real processes on free ports, in a directory of their own.

use crate::{Gateway, Process, away, binary, patience::PATIENCE, sweep};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr as UnixAddr, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use wire::v1;

/// The services of one test. What is not running is `None`; addresses stay across restarts.
pub struct Cluster {
    dir: TempDir,
    /// The scheduler's address.
    pub scheduler_address: SocketAddr,
    /// The gateway's address.
    pub gateway_address: SocketAddr,
    /// The gateway's address for HTTP.
    pub http_address: SocketAddr,
    /// The scheduler.
    pub scheduler: Option<Process>,
    /// The gateway.
    pub gateway: Option<Process>,
    /// The workers, named `w0`, `w1`, …
    pub workers: Vec<Option<Process>>,
    /// What the scheduler's command line begins with, if it isn't started directly.
    pub scheduler_prefix: Vec<String>,
    /// Further arguments for the scheduler, as given to every start.
    pub scheduler_args: Vec<String>,
    /// Further arguments for the gateway.
    pub gateway_args: Vec<String>,
    /// Further arguments for every worker.
    pub worker_args: Vec<String>,
    /// How the services call each other: `http`, or `https` if their arguments name certificates.
    pub scheme: &'static str,
    /// How many tasks a worker runs at once.
    pub slots: u32,
    /// Added to the environment of every service.
    pub environment: Vec<(String, String)>,
    /// Directories of other builds, by the program that is taken from there.
    pub builds: BTreeMap<&'static str, PathBuf>,
}

impl Cluster {
    /// Nothing started yet, but addresses reserved.
    pub fn empty() -> Self {
        Self {
            dir: TempDir::with_prefix("baton-e2e-").unwrap_or_else(|e| panic!("no temporary directory: {e}")),
            scheduler_address: own_address(),
            gateway_address: own_address(),
            http_address: own_address(),
            scheduler: None,
            gateway: None,
            workers: Vec::new(),
            scheduler_prefix: Vec::new(),
            scheduler_args: Vec::new(),
            gateway_args: Vec::new(),
            worker_args: Vec::new(),
            scheme: "http",
            slots: 2,
            environment: Vec::new(),
            builds: BTreeMap::new(),
        }
    }

    /// A scheduler, a gateway and so many workers of two slots each.
    pub fn start(workers: usize) -> Self {
        let mut cluster = Self::empty();
        cluster.start_scheduler();
        cluster.start_gateway();
        for index in 0..workers {
            cluster.start_worker(index);
        }
        cluster
    }

    /// The directory that holds everything of this cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The scheduler's data.
    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// Starts the scheduler, on the same address and data as before.
    pub fn start_scheduler(&mut self) {
        let mut process = Process::start("scheduler", self.dir.path(), &mut self.scheduler_command());
        self.scheduler_address = process.listening();
        self.scheduler = Some(process);
    }

    /// The command that starts the scheduler.
    pub fn scheduler_command(&self) -> Command {
        let mut command = match self.scheduler_prefix.split_first() {
            None => Command::new(self.program("scheduler")),
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(self.program("scheduler"));
                command
            }
        };
        command.args(["--listen", &self.scheduler_address.to_string(), "--data-dir"]).arg(self.data_dir());
        command.args(&self.scheduler_args);
        self.clean(&mut command);
        command
    }

    /// Starts the gateway, on the same address as before.
    pub fn start_gateway(&mut self) {
        let mut command = Command::new(self.program("gateway"));
        command.args(["--listen", &self.gateway_address.to_string()]);
        command.args(["--scheduler", &format!("{}://{}", self.scheme, self.scheduler_address)]);
        command.args(&self.gateway_args);
        let mut process = Process::start("gateway", self.dir.path(), self.clean(&mut command));
        self.gateway_address = process.listening();
        self.gateway = Some(process);
    }

    /// Starts worker `w<index>`, with the same data as before.
    pub fn start_worker(&mut self, index: usize) {
        let mut process = Process::start(&format!("w{index}"), self.dir.path(), &mut self.worker_command(index));
        process.listening();
        if self.workers.len() <= index {
            self.workers.resize_with(index + 1, || None);
        }
        self.workers[index] = Some(process);
    }

    /// The command that starts worker `w<index>`.
    pub fn worker_command(&self, index: usize) -> Command {
        let mut command = Command::new(self.program("worker"));
        command.args(["--listen", "127.0.0.1:0", "--id", &format!("w{index}"), "--data-dir"]);
        command.arg(self.dir().join(format!("w{index}")));
        command.args(["--slots", &self.slots.to_string()]);
        command.args(["--scheduler", &format!("{}://{}", self.scheme, self.scheduler_address)]);
        command.args(&self.worker_args);
        self.clean(&mut command);
        command
    }

    /// Ctrl-C to the gateway, the workers and the scheduler; a second one to the workers, which ends what they left
    /// running. Gives what they said at the end.
    ///
    /// # Panics
    /// If one doesn't end with code 0.
    pub fn stop(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        let mut stop = |process: &mut Process, twice: bool| {
            process.signal(Signal::INT);
            said.push(process.line());
            if twice && !process.has_ended() {
                process.signal(Signal::INT);
            }
            let code = process.ended().code();
            assert_eq!(code, Some(0), "a service ended badly; its log:\n{}", process.log());
        };
        self.gateway.take().iter_mut().for_each(|p| stop(p, false));
        self.workers.drain(..).flatten().for_each(|mut p| stop(&mut p, true));
        self.scheduler.take().iter_mut().for_each(|p| stop(p, false));
        said
    }

    /// `kill -9` of the scheduler.
    pub fn kill_scheduler(&mut self) {
        self.scheduler.take().iter_mut().for_each(Process::kill9);
    }

    /// `kill -9` of the gateway.
    pub fn kill_gateway(&mut self) {
        self.gateway.take().iter_mut().for_each(Process::kill9);
    }

    /// `kill -9` of a worker; its keeper and tasks go on.
    pub fn kill_worker(&mut self, index: usize) {
        self.workers[index].take().iter_mut().for_each(Process::kill9);
    }

    /// A client of the gateway.
    pub fn client(&self) -> Gateway {
        crate::tasks::connect(self.gateway_address)
    }

    /// The CLI, pointed at this cluster.
    pub fn baton(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("baton"));
        command.args(args).env("BATON_GATEWAY", format!("{}://{}", self.scheme, self.gateway_address));
        command.env("BATON_HTTP_LISTEN", self.http_address.to_string());
        command.current_dir(self.dir());
        command
    }

    /// The program that is started as this.
    fn program(&self, name: &str) -> PathBuf {
        self.builds.get(name).map_or_else(|| binary(name), |dir| dir.join(name))
    }

    /// Neither the user's settings nor the default data directory reach the services of a test.
    fn clean<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("BATON_") {
                command.env_remove(key);
            }
        }
        // By its variable: builds that know nothing of the port are started as well.
        command.env("BATON_HTTP_LISTEN", self.http_address.to_string());
        command.envs(self.environment.iter().cloned()).current_dir(self.dir())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.gateway = None;
        self.workers.clear();
        self.scheduler = None;
        // Keepers and tasks outlive their workers.
        sweep(self.dir.path());
    }
}

/// Waits until so many workers are in contact with the scheduler, as the gateway tells it.
///
/// # Panics
/// If they don't come.
pub fn connected(cluster: &Cluster, workers: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let gateway = cluster.client();
        let began = Instant::now();
        loop {
            match gateway.clone().list_workers(v1::ListWorkersRequest {}).await {
                Ok(response) => {
                    let seen = response.into_inner().workers;
                    if seen.iter().filter(|worker| worker.status == "connected").count() >= workers {
                        return;
                    }
                    assert!(began.elapsed() < PATIENCE, "{workers} workers should be in contact: {seen:#?}");
                }
                Err(status) => assert!(away(&status) && began.elapsed() < PATIENCE, "list workers: {status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Below those that systems give to outgoing connections and to port 0.
const PORTS: std::ops::Range<u16> = 16_384..32_768;

/// An address that is ours until this process ends. Port 0 itself won't do where a restart needs the same port again, and
/// meanwhile nobody else may take it: the name of a socket in the kernel tells others of our kind.
fn own_address() -> SocketAddr {
    let (count, begin) = (PORTS.len(), std::process::id() as usize * 31);
    let own =
        (0..count).filter_map(|n| PORTS.start.checked_add(u16::try_from((begin + n) % count).ok()?)).find(|port| {
            let name = UnixAddr::from_abstract_name(format!("baton-e2e-{port}"));
            let Ok(held) = name.and_then(|name| UnixListener::bind_addr(&name)) else { return false };
            let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
            // Never closed but by the end of the process.
            let _ = free.then(|| std::mem::ManuallyDrop::new(held));
            free
        });
    (Ipv4Addr::LOCALHOST, own.unwrap_or_else(|| panic!("no free port"))).into()
}
