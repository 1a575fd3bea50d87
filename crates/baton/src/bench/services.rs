//! Services that are started to be measured: this program as gateway, scheduler and worker, in a directory of their own.
//! They end, and the directory goes, with this value.

use crate::{failure::Failure, printer};
use client::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use worker::{Handler, HandlerContext, HandlerFuture};

/// The handler that does nothing.
pub const NOOP: &str = "noop";
/// Services that have not ended by then are killed.
const END_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks whether something is so by now.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A worker that is not connected by then won't be.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
const ANY_PORT: &str = "127.0.0.1:0";

/// A handler that does nothing, so that everything else can be measured.
pub struct Noop;

impl Handler for Noop {
    fn name(&self) -> &str {
        NOOP
    }
    fn run(&self, _: HandlerContext, _: Vec<u8>) -> HandlerFuture {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub struct Services {
    dir: PathBuf,
    url: String,
    scheduler_at: String,
    scheduler: Running,
    gateway: Running,
    worker: Option<Running>,
}

impl Services {
    /// A scheduler and a gateway, in a new directory below `parent`.
    pub fn start(parent: &Path) -> Result<Self, Failure> {
        let mut name = [0; 4];
        getrandom::fill(&mut name).map_err(|error| Failure::error(format!("no random number: {error}")))?;
        let name = format!(".baton-bench-{:08x}", u32::from_ne_bytes(name));
        let dir = parent.canonicalize().map(|parent| parent.join(name)).and_then(|dir| {
            fs::create_dir(&dir)?;
            Ok(dir)
        });
        let dir = dir.map_err(|error| Failure::error(format!("--dir: {}: {error}", parent.display())))?;
        Self::start_in(&dir).inspect_err(|_| remove(&dir))
    }

    fn start_in(dir: &Path) -> Result<Self, Failure> {
        let (scheduler, scheduler_at) = scheduler(dir, ANY_PORT)?;
        let url = format!("http://{scheduler_at}");
        let (gateway, gateway_at) =
            Running::start("gateway", dir, &["--listen", ANY_PORT, "--http-listen", ANY_PORT, "--scheduler", &url])?;
        let url = format!("http://{gateway_at}");
        Ok(Self { dir: dir.to_owned(), url, scheduler_at, scheduler, gateway, worker: None })
    }

    /// A worker with so many slots, that has the handler [`NOOP`]; waits until it is connected.
    pub async fn start_worker(&mut self, slots: u32, client: &Client) -> Result<(), Failure> {
        let (slots, dir) = (slots.to_string(), self.dir.join("worker"));
        let (dir, scheduler) = (dir.to_string_lossy(), format!("http://{}", self.scheduler_at));
        let args =
            ["--listen", ANY_PORT, "--id", "bench", "--slots", &slots, "--data-dir", &dir, "--scheduler", &scheduler];
        self.worker = Some(Running::start("bench-worker", &self.dir, &args)?.0);
        let began = Instant::now();
        while !client.workers().await.is_ok_and(|workers| workers.iter().any(|worker| worker.status == "connected")) {
            if began.elapsed() > CONNECT_WITHIN {
                return Err(Failure::error("the worker does not connect"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Kills the scheduler and starts it again. Gives the time from its start until the gateway answers reads.
    pub async fn restart(&mut self, client: &Client) -> Result<Duration, Failure> {
        self.scheduler.kill();
        let began = Instant::now();
        self.scheduler = scheduler(&self.dir, &self.scheduler_at.clone())?.0;
        while client.queues().await.is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the gateway is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The scheduler's memory now, in MiB.
    pub fn scheduler_mib(&self) -> f64 {
        resident_mib(self.scheduler.0.id())
    }

    /// What each has cost so far.
    pub fn costs(&self) -> Vec<Cost> {
        let worker = self.worker.as_ref().map(|worker| (Service::Worker, worker));
        let all = [(Service::Scheduler, &self.scheduler), (Service::Gateway, &self.gateway)].into_iter().chain(worker);
        let cost = |(service, process): (Service, &Running)| {
            let pid = process.0.id();
            Cost { service, cpu_seconds: spent(pid), mib: resident_mib(pid) }
        };
        all.map(cost).collect()
    }
}

/// One of those that are started.
#[derive(Clone, Copy)]
pub enum Service {
    Scheduler,
    Gateway,
    Worker,
}

/// What a service has cost since its start.
pub struct Cost {
    pub service: Service,
    /// Seconds of processor time, its own and the kernel's.
    pub cpu_seconds: f64,
    /// Memory now, in MiB.
    pub mib: f64,
}

impl Drop for Services {
    fn drop(&mut self) {
        // The worker first, while somebody still listens to it.
        drop(self.worker.take());
        self.gateway.end();
        self.scheduler.end();
        remove(&self.dir);
    }
}

fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        printer::note(&format!("warning: {} is left behind: {error}", dir.display()));
    }
}

fn resident_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn spent(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in parentheses: the state is field 3, user and system ticks are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(14) + ticks(15)) / rustix::param::clock_ticks_per_second() as f64
}

fn scheduler(dir: &Path, listen: &str) -> Result<(Running, String), Failure> {
    let data = dir.join("data");
    Running::start("scheduler", dir, &["--listen", listen, "--data-dir", &data.to_string_lossy()])
}

/// A process of this program.
struct Running(Child);

impl Running {
    /// Starts it and waits for its line; gives its address.
    fn start(verb: &str, dir: &Path, args: &[&str]) -> Result<(Self, String), Failure> {
        let failed = |error: std::io::Error| Failure::error(format!("baton {verb}: {error}"));
        let log = dir.join(format!("{verb}.log"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg(verb).args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(fs::File::options().create(true).append(true).open(&log).map_err(failed)?);
        // What is measured is what everybody has, not what this shell is set to.
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BATON_")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        let mut running = Self(command.spawn().map_err(failed)?);
        let mut line = String::new();
        if let Some(stdout) = running.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        match line.trim().rsplit_once(" service listening on ") {
            Some((_, address)) => Ok((running, address.to_owned())),
            None => {
                running.kill();
                let log = fs::read_to_string(&log).unwrap_or_default();
                Err(Failure::error(format!("baton {verb} does not start: {}", log.trim())))
            }
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// SIGTERM; SIGKILL if it doesn't mind that.
    fn end(&mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while began.elapsed() < END_WITHIN && self.0.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(LOOK_EVERY);
        }
        self.kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
