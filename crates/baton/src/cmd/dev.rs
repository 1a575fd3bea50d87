//! `baton dev`: a scheduler, a gateway and a worker in one process, durable like the real ones.

use super::services::KEEPER;
use clap::Args;
use client::Client;
use service::{AuthMode, Fatal, Service, Stopping};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use worker::Embedding;

/// Where a scheduler is expected; another port does as well, because only this process needs to know it.
const SCHEDULER_PORT: u16 = 50052;
/// Between two looks whether everything is up.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// As long as a scheduler keeps tasks that ended unless it is told otherwise.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Args)]
pub struct Dev {
    /// Directory of tasks, output and worker; what is in it is found again
    #[arg(long, value_name = "DIR", default_value = "./.baton", env = "BATON_DATA_DIR")]
    data_dir: PathBuf,
    /// Where clients call; port 0 takes any
    #[arg(long, value_name = "ADDR", value_parser = service::address, default_value = "127.0.0.1:50051", env = "BATON_LISTEN")]
    listen: SocketAddr,
    /// Where HTTP clients call: JSON and event streams; port 0 takes any, and the log says which
    #[arg(long, value_name = "ADDR", value_parser = service::address, default_value = "127.0.0.1:8080", env = "BATON_HTTP_LISTEN")]
    http_listen: SocketAddr,
    /// How many tasks run at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), env = "BATON_SLOTS")]
    slots: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the flags")]
    disk: scheduler::DiskOptions,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment would replace the heading of the shared flags")]
    common: service::Options,
}

pub fn dev(args: Dev) -> ExitCode {
    service::run(&args.common.clone(), |stopping| compose(args, stopping))
}

async fn compose(args: Dev, stopping: Stopping) -> service::Result<()> {
    let Dev { data_dir, listen, http_listen, slots, disk, common } = args;
    let scheduler_at = scheduler_address()?;
    let url = format!("http://{scheduler_at}");
    // All of it stays on this machine.
    let tls = service::TlsOptions::default();
    let door = gateway::Options {
        listen,
        http_listen,
        scheduler: url.clone(),
        auth: AuthMode::Off,
        token_file: None,
        rate_limit: None,
        audit_log: None,
        tls: tls.clone(),
        service: common.clone(),
    };
    let gateway = gateway::Gateway::listen(&door).await?;
    let address = gateway.addr();
    let scheduler = scheduler::Options {
        listen: scheduler_at,
        data_dir: data_dir.clone(),
        lost_after: Duration::from_secs(60),
        retention: RETENTION,
        auth: AuthMode::Off,
        enrol_ca: None,
        disk,
        tls,
        common: common.clone(),
    };
    let worker = worker_options(url, &data_dir, slots, common);
    let embedding = Embedding { keeper_arguments: KEEPER, end_tasks_on_stop: true, ..Embedding::default() };
    // The worker first, while somebody still listens to how its tasks ended; then the others.
    let (worker_stops, others_stop) = (Stopping::new(), Stopping::new());
    let ending = async {
        stopping.requested().await;
        worker_stops.request();
    };
    let working = async {
        let worked = worker::run(worker, embedding, worker_stops.clone()).await;
        Service::say_stopped("Worker");
        others_stop.request();
        worked
    };
    let scheduling = async {
        scheduler::run(scheduler, others_stop.clone()).await?;
        Service::say_stopped("Scheduler");
        Ok(())
    };
    let all = async { tokio::try_join!(scheduling, gateway.serve(others_stop.clone()), working) };
    let beside = async {
        tokio::join!(ending, greet(address));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = all => ended.map(|_| ()),
        () = beside => Ok(()),
    }
}

fn worker_options(
    scheduler: String,
    data_dir: &std::path::Path,
    slots: Option<u32>,
    common: service::Options,
) -> worker::Options {
    let id = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let spool = worker::keeper::SpoolLimits::default();
    worker::Options {
        listen: None,
        scheduler,
        token_file: None,
        data_dir: Some(data_dir.join("workers").join(&id)),
        id: Some(id),
        slots,
        label: Vec::new(),
        handler: Vec::new(),
        policy: None,
        run_as: None,
        no_demo: false,
        kill_grace: Duration::from_secs(5),
        docker_host: worker::DockerHost::default(),
        spool_attempt: spool.attempt_bytes,
        spool: spool.all_bytes,
        spool_full: spool.full,
        tls: service::TlsOptions::default(),
        common,
    }
}

/// The scheduler's usual address if it is free, else any.
fn scheduler_address() -> Result<SocketAddr, Fatal> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    at(SCHEDULER_PORT).or_else(|_| at(0)).map_err(|e| Fatal::new(format!("no free port for the scheduler: {e}")))
}

/// When everything is up, says what to do next.
async fn greet(address: SocketAddr) {
    let url = format!("http://{address}");
    let Ok(client) = Client::connect(&url) else { return };
    while !client.workers().await.is_ok_and(|workers| workers.iter().any(|w| w.status == "connected")) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let place = if url == client::GATEWAY_DEFAULT { String::new() } else { format!("BATON_GATEWAY={url} ") };
    // Nobody reads it: nothing lost.
    let _ = crate::printer::line(&format!("\nReady. In another terminal:\n\n  {place}baton run -- echo hello\n"));
}
