//! A worker's first message.

use super::attempt_id;
use crate::v1;
use domain::{
    AttemptId, Epoch, Error, HeldAttempt, HeldPhase, Hello, Incarnation, KillLevel, Kind, Result, Totals, WorkerId,
};

/// The version of the protocol between worker and scheduler that this build speaks.
pub const PROTOCOL: u32 = 1;

/// The executors' words.
const SHELL: &str = "shell";
const DOCKER: &str = "docker";
const HANDLER: &str = "handler";

/// Reads a hello. Names and sizes are checked by [`Hello::check`].
///
/// # Errors
/// [`Kind::Invalid`], naming the field; [`Kind::Precondition`] if the worker speaks only other versions.
pub fn hello(wire: v1::WorkerHello) -> Result<Hello> {
    let v1::WorkerHello {
        worker_id,
        incarnation,
        protocol_min,
        protocol_max,
        labels,
        executors,
        handlers,
        demo_handler,
        store_id: _,
        highest_commit: _,
        highest_epoch,
        held,
        slots,
        address,
        kill_level,
        version,
        opened,
        seal: _,
        sealed_epoch: _,
    } = wire;
    if !(protocol_min..=protocol_max).contains(&PROTOCOL) {
        let text = format!("protocol: this scheduler speaks {PROTOCOL}, the worker {protocol_min} to {protocol_max}");
        return Err(Error::new(Kind::Precondition, text));
    }
    Ok(Hello {
        worker: WorkerId::new(&worker_id),
        incarnation: Incarnation(incarnation.into()),
        labels,
        shell: executors.iter().any(|e| e == SHELL),
        docker: executors.iter().any(|e| e == DOCKER),
        handlers: handlers.into_iter().collect(),
        demo: demo_handler,
        opened,
        highest_epoch: Epoch(highest_epoch),
        held: held.into_iter().map(held_attempt).collect::<Result<_>>()?,
        slots,
        address,
        kill_level: if kill_level.is_empty() { None } else { Some(KillLevel::parse(&kill_level)) },
        version,
    })
}

/// A hello as it travels.
pub fn v1_hello(hello: Hello) -> v1::WorkerHello {
    let Hello {
        worker,
        incarnation,
        labels,
        shell,
        docker,
        handlers,
        demo,
        opened,
        highest_epoch,
        held,
        slots,
        address,
        kill_level,
        version,
    } = hello;
    v1::WorkerHello {
        worker_id: worker.as_str().into(),
        incarnation: incarnation.0.as_ref().into(),
        protocol_min: PROTOCOL,
        protocol_max: PROTOCOL,
        labels,
        executors: executors(shell, docker),
        handlers: handlers.into_iter().collect(),
        demo_handler: demo,
        store_id: String::new(),
        highest_commit: 0,
        highest_epoch: highest_epoch.0,
        held: held.into_iter().map(v1_held).collect(),
        slots,
        address,
        kill_level: kill_level.map_or_else(String::new, |level| level.as_str().into()),
        version,
        opened,
        seal: Vec::new(),
        sealed_epoch: 0,
    }
}

/// The executors of a worker, as they are called on the wire.
pub fn executors(shell: bool, docker: bool) -> Vec<String> {
    let offered = [(SHELL, shell), (DOCKER, docker), (HANDLER, true)];
    offered.into_iter().filter(|(_, yes)| *yes).map(|(name, _)| name.to_owned()).collect()
}

fn held_attempt(wire: v1::HeldAttempt) -> Result<HeldAttempt> {
    let v1::HeldAttempt { task_id, attempt, phase, totals } = wire;
    let phase = match v1::HeldPhase::try_from(phase) {
        Ok(v1::HeldPhase::Prefetched) => HeldPhase::Prefetched,
        Ok(v1::HeldPhase::Running) => HeldPhase::Running,
        Ok(v1::HeldPhase::Exited) => HeldPhase::Exited,
        Ok(v1::HeldPhase::Unspecified) | Err(_) => return Err(Error::field("held.phase", "is unknown")),
    };
    let totals = totals.map_or_else(Totals::default, Totals::from);
    Ok(HeldAttempt { attempt: attempt_id(&task_id, attempt)?, phase, totals })
}

fn v1_held(held: HeldAttempt) -> v1::HeldAttempt {
    let HeldAttempt { attempt: AttemptId { task, no }, phase, totals } = held;
    let phase = match phase {
        HeldPhase::Prefetched => v1::HeldPhase::Prefetched,
        HeldPhase::Running => v1::HeldPhase::Running,
        HeldPhase::Exited => v1::HeldPhase::Exited,
    };
    v1::HeldAttempt { task_id: task.to_string(), attempt: no.0, phase: phase.into(), totals: Some(totals.into()) }
}
