//! `baton doctor`: what is wrong, and what isn't. With services or without, on this machine and on the workers'.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, target::Target, when};
use clap::Args;
use client::{Client, v1};
use scheduler::doctor::{Finding, Verdict};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use worker::{DockerHost, FoundEngine};

/// A gateway that doesn't answer within this is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Workers speak every 5 s: one in contact that was heard longer ago by the scheduler's clock, or later than now, shows that
/// its clock and ours differ.
const HEARD_WITHIN_MS: i64 = 20_000;
const SKEW_MS: i64 = 2_000;

#[derive(Args)]
pub struct Doctor {
    /// The scheduler's data directory, if it is on this machine
    #[arg(long, value_name = "DIR", default_value = "./.baton", env = "BATON_DATA_DIR")]
    data_dir: PathBuf,
    /// How much space has to be free there
    #[arg(long, value_name = "SIZE", value_parser = service::size, default_value = "256MiB", env = "BATON_MIN_FREE_DISK")]
    min_free_disk: u64,
    /// The Docker engine of a worker on this machine, by its socket, or none
    #[arg(long, value_name = "URL", value_parser = DockerHost::parse, default_value = "unix:///var/run/docker.sock",
        env = "BATON_DOCKER_HOST")]
    docker_host: DockerHost,
}

pub fn doctor(target: &Target, form: Form, args: &Doctor) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    let mut findings = vec![Finding::good("version", service::VERSION)];
    findings.extend(runtime.block_on(async { Ok::<_, Failure>(services(&target.client()?).await) })?);
    findings.push(runtime.block_on(docker(&args.docker_host)));
    findings.extend(scheduler::doctor::examine(&args.data_dir, args.min_free_disk));
    show(form, &findings)?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Ok(if worst == Some(Verdict::Bad) { ExitStatus::Error } else { ExitStatus::Success })
}

async fn services(gateway: &Client) -> Vec<Finding> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, gateway.health()).await;
    let health = match asked {
        Ok(Ok(health)) => health,
        Ok(Err(error)) => return vec![Finding::warning("gateway", format!("{error}: only this machine is looked at"))],
        Err(_) => return vec![Finding::bad("gateway", format!("{} does not answer", gateway.url()))],
    };
    let v1::HealthCheckResponse { healthy, version } = health;
    let text = format!("{version} at {}", gateway.url());
    let mut findings = vec![match (healthy, version == service::VERSION) {
        (false, _) => Finding::bad("gateway", format!("{text}, but it can't do its job: see /readyz there")),
        (true, false) => Finding::warning("gateway", format!("{text}; this program is {}", service::VERSION)),
        (true, true) => Finding::good("gateway", text),
    }];
    match tokio::time::timeout(ANSWER_WITHIN, gateway.workers()).await {
        Ok(Ok(workers)) if workers.is_empty() => findings.push(Finding::warning("workers", "none has ever come")),
        Ok(Ok(workers)) => findings.extend(workers.iter().flat_map(worker)),
        Ok(Err(error)) => findings.push(Finding::bad("scheduler", error.to_string())),
        Err(_) => findings.push(Finding::bad("scheduler", "does not answer")),
    }
    findings
}

fn worker(worker: &v1::WorkerInfo) -> Vec<Finding> {
    let v1::WorkerInfo { worker_id, status, last_heartbeat_ms, kill_level, version, .. } = worker;
    let (id, connected) = (shown(worker_id), status != "disconnected");
    let text = format!("{id}: {}, {}, kills by {}", shown(status), shown(version), shown(kill_level));
    let mut findings = vec![if !connected {
        Finding::warning("worker", format!("{text}; out of contact"))
    } else if kill_level == domain::KillLevel::BestEffort.as_str() || kill_level.is_empty() {
        Finding::warning(
            "worker",
            format!("{text}: best effort, a process that hides can survive its task; needs cgroups"),
        )
    } else if version != service::VERSION {
        Finding::warning("worker", format!("{text}; this program is {}", service::VERSION))
    } else {
        Finding::good("worker", text)
    }];
    let ago = when::now_ms() - last_heartbeat_ms;
    if connected && !(-SKEW_MS..=HEARD_WITHIN_MS).contains(&ago) {
        let text =
            format!("the scheduler's clock and this one differ by about {} s; only displays are affected", ago / 1_000);
        findings.push(Finding::warning("clock", text));
    }
    findings
}

/// The engine that a worker on this machine would have, as this user may reach it.
async fn docker(host: &DockerHost) -> Finding {
    let name = "docker";
    match host.examine().await {
        FoundEngine::Unwanted => Finding::good(name, "none: a worker here runs no containers (--docker-host)"),
        FoundEngine::Absent => Finding::warning(name, format!("no engine at {host}: a worker here runs no containers")),
        FoundEngine::Mute(why) => {
            Finding::warning(name, format!("{host}: {}: a worker of this user runs no containers", shown(&why)))
        }
        FoundEngine::Answers { version, api } => {
            Finding::good(name, format!("{}, API {}, at {host}", shown(&version), shown(&api)))
        }
    }
}

fn show(form: Form, findings: &[Finding]) -> Result<(), Failure> {
    let word = |verdict| match verdict {
        Verdict::Good => ("ok", "✓"),
        Verdict::Warning => ("warning", "!"),
        Verdict::Bad => ("bad", "✗"),
    };
    match form {
        Form::Json => {
            let list: Vec<_> = findings
                .iter()
                .map(|Finding { verdict, name, text }| json!({"verdict": word(*verdict).0, "name": name, "text": text}))
                .collect();
            printer::json(&json!({ "findings": list }))?;
        }
        Form::Table => {
            for Finding { verdict, name, text } in findings {
                printer::line(&format!("{} {name:<16} {text}", word(*verdict).1))?;
            }
        }
    }
    Ok(())
}
