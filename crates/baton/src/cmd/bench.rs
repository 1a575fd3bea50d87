//! `baton bench`: how fast it is, on this machine, with this disk.

use crate::{
    bench::{self, Noop, Services, Setting},
    exit::ExitStatus,
    failure::Failure,
    printer::{self, Form},
    target::Target,
};
use clap::{Args, Subcommand};
use client::Client;
use service::Service;
use std::{path::PathBuf, process::ExitCode};
use worker::{Embedding, Handlers};

#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
    /// Measure the services at --gateway-url; without it some are started, and ended again
    #[arg(long, global = true)]
    running: bool,
    /// On this disk: where services that are started keep their data, in a directory of their own
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Tasks that the worker that is started runs at once [default: the number of cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: Option<u32>,
}

#[derive(Subcommand)]
enum What {
    /// How many tasks a second, handed over in batches, until the last one's end is on disk
    Tasks(bench::Tasks),
    /// How many single submits a second, and how long each takes; nothing runs meanwhile
    Submit(bench::Submits),
    /// How soon a task is back, one after the other or at a rate
    Latency(bench::Latency),
    /// How much output of one task a second
    Output(bench::Output),
    /// How long it takes to hand over a long backlog, and what it costs
    Backlog(bench::Backlog),
    /// What the services cost while nobody wants anything of them
    Idle(bench::Idle),
}

pub fn bench(target: &Target, form: Form, args: Bench) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    // Dropped at its end, however that comes, it ends what it started.
    runtime.block_on(async {
        tokio::select! {
            // Looked at first: services that are being started when it comes would else be left behind.
            biased;
            _ = tokio::signal::ctrl_c() => Ok(ExitStatus::Cancelled),
            done = measure(target, form, args) => done,
        }
    })
}

async fn measure(target: &Target, form: Form, args: Bench) -> Result<ExitStatus, Failure> {
    let Bench { what, running, dir, slots } = args;
    let mut services = if running { None } else { Some(Services::start(&dir)?) };
    let client = match &services {
        Some(services) => Client::connect(services.url())?,
        None => target.client()?,
    };
    let setting = match &mut services {
        Some(services) => {
            services.start_worker(slots.unwrap_or_else(cores), &client).await?;
            Setting::started(services)
        }
        None => Setting::running(client.url(), &client.health().await?.version),
    };
    let queue = queue()?;
    printer::note(&format!("Measuring; the tasks are in queue {queue}"));
    let started = services.is_some();
    let report = match &what {
        What::Tasks(args) => bench::tasks(&client, &queue, services.as_ref(), args).await,
        What::Submit(args) => bench::submits(&client, &queue, started, args).await,
        What::Latency(args) => bench::latency(&client, &queue, started, args).await,
        What::Output(args) => bench::output(&client, &queue, args).await,
        What::Backlog(args) => bench::backlog(&client, &queue, services.as_mut(), args).await,
        What::Idle(args) => bench::idle(&client, services.as_ref(), args).await,
    };
    report?.show(form, &setting)?;
    Ok(ExitStatus::Success)
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// A queue that nobody else uses.
fn queue() -> Result<String, Failure> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| Failure::error(format!("no random number: {error}")))?;
    Ok(format!("bench-{:08x}", u32::from_ne_bytes(bytes)))
}

/// The worker that is started: it has a handler that does nothing.
pub fn worker(options: worker::Options) -> ExitCode {
    let handlers = Handlers::default().with(Noop);
    let embedding = Embedding {
        handlers,
        keeper_arguments: super::services::KEEPER,
        end_tasks_on_stop: true,
        ..Embedding::default()
    };
    service::run(&options.common.clone(), async |stopping| {
        worker::run(options, embedding, stopping).await?;
        Service::say_stopped("Worker");
        Ok(())
    })
}
