//! From a launch to a command: its environment, its directory, its marks.

use super::event::{Launch, LaunchCommand, TaskUser};
use super::message::Variable;
use domain::AttemptId;
use exec::start::{PROGRESS_FD, Program, User};
use exec::tree::Cookie;
use std::{collections::BTreeMap, path::Path};

/// What every process of an attempt finds in its environment, unless it scrubs it.
pub(super) fn cookie(task: &str, no: &str) -> Cookie {
    Cookie(vec![format!("BATON_TASK_ID={task}").into(), format!("BATON_ATTEMPT={no}").into()])
}

/// [`cookie`], of an attempt.
pub(super) fn cookie_of(attempt: AttemptId) -> Cookie {
    cookie(&attempt.task.to_string(), &attempt.no.to_string())
}

/// The task's whole environment: the worker's part, the spec's, and ours, which nobody can override.
pub(super) fn environment(base: &[Variable], launch: &Launch) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let base = base.iter().map(|Variable { name, value }| (name.clone(), value.clone()));
    let own = match &launch.command {
        LaunchCommand::Shell(shell) => &shell.env,
        LaunchCommand::Handler { env, .. } => env,
    };
    let own = own.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
    let mut all: BTreeMap<_, _> = base.clone().chain(own).collect();
    all.extend(base.filter(|(name, _)| name.starts_with(b"BATON_")));
    let AttemptId { task, no } = launch.attempt;
    let marks = [
        ("BATON_TASK_ID", task.to_string()),
        ("BATON_ATTEMPT", no.to_string()),
        ("BATON_PROGRESS_FD", PROGRESS_FD.to_string()),
    ];
    all.extend(marks.map(|(name, value)| (name.into(), value.into())));
    let member =
        [("BATON_ARRAY_INDEX", task.index().map(|index| index.to_string())), ("BATON_ENTRY", launch.entry.clone())];
    all.extend(member.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))));
    all
}

/// What to run, and what it reads.
pub(super) fn program(launch: &Launch) -> (Program<'_>, &[u8]) {
    match &launch.command {
        LaunchCommand::Shell(shell) if shell.args.is_empty() => (Program::Line(&shell.command), &shell.stdin),
        LaunchCommand::Shell(shell) => (Program::Direct(&shell.command, &shell.args), &shell.stdin),
        LaunchCommand::Handler { command, payload, env: _ } => (Program::Line(command), payload),
    }
}

/// As whom.
pub(super) fn user(user: &TaskUser) -> User {
    let TaskUser { uid, gid, groups } = user.clone();
    User { uid, gid, groups }
}

/// The directory that the task asked for.
pub(super) fn working_dir(launch: &Launch) -> Option<&Path> {
    match &launch.command {
        LaunchCommand::Shell(shell) => shell.working_dir.as_deref().map(Path::new),
        LaunchCommand::Handler { .. } => None,
    }
}
