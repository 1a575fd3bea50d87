//! What a client asks for: `TaskSpec` <-> [`Spec`], with every rule of form (CONTRACT 2).

use crate::{array, docker, v1};
use domain::{
    Error, HandlerRun, IdempotencyKey, OnLost, Result, RetryPolicy, Run, ShellRun, Spec, TraceContext, UnixMillis,
    WorkerId, limits,
};
use prost::Message as _;
use std::{sync::Arc, time::Duration};

/// The queue of specs that name none.
const QUEUE_DEFAULT: &str = "default";

/// Reads a spec and, of an array with entries, those; checks all rules, so that nobody who has a [`Spec`] needs to check it
/// again.
///
/// # Errors
/// [`domain::Kind::Invalid`], naming the field.
pub fn spec(wire: v1::TaskSpec) -> Result<(Spec, Vec<Arc<str>>)> {
    let v1::TaskSpec {
        name,
        description,
        payload,
        timeout_secs,
        max_retries,
        idempotency_key,
        worker,
        labels,
        priority,
        queue,
        timeout_ms,
        array,
        run_at_ms,
        on_lost,
        start_within_ms,
        traceparent,
        tracestate,
        run,
    } = wire;
    let max_retries = u32::try_from(max_retries)
        .map_err(|_| Error::field("max_retries", format!("must be 0 to {}", limits::RETRIES)))?;
    let (array, entries) = array::read(array)?;
    let mut spec = Spec {
        name,
        description,
        run: run_from(run, payload)?,
        timeout: timeout_from(timeout_secs, timeout_ms)?,
        retry: RetryPolicy { max_retries },
        on_lost: on_lost_from(on_lost)?,
        key: None,
        worker: if worker.is_empty() { None } else { Some(WorkerId::new(&worker)) },
        labels,
        priority,
        queue: if queue.is_empty() { QUEUE_DEFAULT.into() } else { queue },
        run_at: if run_at_ms == 0 { None } else { Some(UnixMillis(run_at_ms)) },
        array,
        start_within: start_within_from(start_within_ms)?,
        trace: None,
        trace_state: String::new(),
    };
    spec.check()?;
    // Before the trace: who asks again does so in another one.
    spec.key = key_of(&idempotency_key, &spec, &entries)?;
    (spec.trace, spec.trace_state) = trace_from(traceparent, tracestate)?;
    Ok((spec, entries))
}

/// Checks a spec as [`spec`] does.
///
/// # Errors
/// As [`spec`].
pub fn check_spec(mut wire: v1::TaskSpec) -> Result<()> {
    // Entries may be millions: they are looked at where they are, not copied.
    let entries = wire.array.as_mut().map(|array| std::mem::take(&mut array.entries));
    let (spec, _) = spec(wire)?;
    match (entries, &spec.array) {
        (Some(entries), Some(read)) => array::check_entries(&entries, &read.ranges),
        _ => Ok(()),
    }
}

/// As [`spec`], without the entries.
impl TryFrom<v1::TaskSpec> for Spec {
    type Error = Error;
    fn try_from(wire: v1::TaskSpec) -> Result<Self> {
        spec(wire).map(|(spec, _)| spec)
    }
}

impl From<&Spec> for v1::TaskSpec {
    /// The idempotency key is not given back: only its hash is kept. Nor are entries, which are kept apart.
    fn from(spec: &Spec) -> Self {
        Self { array: spec.array.as_ref().map(array::shown), ..one_member(spec) }
    }
}

/// A spec without what makes it an array's: what each member runs.
pub(crate) fn one_member(spec: &Spec) -> v1::TaskSpec {
    let Spec {
        name,
        description,
        run,
        timeout,
        retry,
        on_lost,
        key: _,
        worker,
        labels,
        priority,
        queue,
        run_at,
        array: _,
        start_within,
        trace,
        trace_state,
    } = spec;
    let (timeout_secs, timeout_ms) = timeout_to(*timeout);
    let (run, payload) = run_to(run);
    v1::TaskSpec {
        name: name.clone(),
        description: description.clone(),
        payload,
        timeout_secs,
        max_retries: i32::try_from(retry.max_retries).unwrap_or(i32::MAX),
        idempotency_key: String::new(),
        worker: worker.as_ref().map_or_else(String::new, |w| w.as_str().into()),
        labels: labels.clone(),
        priority: *priority,
        queue: queue.clone(),
        timeout_ms,
        array: None,
        run_at_ms: run_at.map_or(0, |at| at.0),
        on_lost: on_lost_to(*on_lost).into(),
        start_within_ms: start_within.map_or(0, |within| i64::try_from(within.as_millis()).unwrap_or(i64::MAX)),
        traceparent: trace.map(|trace| trace.to_string()).unwrap_or_default(),
        tracestate: trace_state.clone(),
        run,
    }
}

fn trace_from(traceparent: String, tracestate: String) -> Result<(Option<TraceContext>, String)> {
    domain::check_trace_state(&tracestate)?;
    match (traceparent.is_empty(), tracestate.is_empty()) {
        (false, _) => Ok((Some(traceparent.parse()?), tracestate)),
        (true, true) => Ok((None, tracestate)),
        (true, false) => Err(Error::field("tracestate", "belongs to a traceparent, which is missing")),
    }
}

fn start_within_from(ms: i64) -> Result<Option<Duration>> {
    let ms = u64::try_from(ms).map_err(|_| Error::field("start_within_ms", "must not be negative"))?;
    Ok((ms > 0).then(|| Duration::from_millis(ms)))
}

fn on_lost_from(wire: i32) -> Result<OnLost> {
    match v1::OnLost::try_from(wire) {
        Ok(v1::OnLost::Unspecified | v1::OnLost::Retry) => Ok(OnLost::Retry),
        Ok(v1::OnLost::Fail) => Ok(OnLost::Fail),
        Ok(v1::OnLost::Wait) => Ok(OnLost::Wait),
        Err(_) => Err(Error::field("on_lost", "must be retry, fail or wait")),
    }
}

/// The default is left out: specs that don't choose look, and hash, as they did before there was a choice.
fn on_lost_to(on_lost: OnLost) -> v1::OnLost {
    match on_lost {
        OnLost::Retry => v1::OnLost::Unspecified,
        OnLost::Fail => v1::OnLost::Fail,
        OnLost::Wait => v1::OnLost::Wait,
    }
}

fn run_from(run: Option<v1::task_spec::Run>, payload: Vec<u8>) -> Result<Run> {
    match run {
        Some(v1::task_spec::Run::Shell(shell)) => {
            no_payload(&payload, "a command is given `shell.stdin`")?;
            let v1::ShellRun { command, working_dir, env, stdin, args } = shell;
            let working_dir = if working_dir.is_empty() { None } else { Some(working_dir) };
            Ok(Run::Shell(ShellRun { command, args, working_dir, env, stdin }))
        }
        Some(v1::task_spec::Run::Docker(wire)) => {
            no_payload(&payload, "a container is given `docker.command` and `docker.env`")?;
            Ok(Run::Docker(docker::docker(wire)?))
        }
        None => Ok(Run::Handler(HandlerRun { payload })),
    }
}

fn no_payload(payload: &[u8], instead: &str) -> Result<()> {
    if payload.is_empty() { Ok(()) } else { Err(Error::field("payload", format!("is for handler tasks; {instead}"))) }
}

fn run_to(run: &Run) -> (Option<v1::task_spec::Run>, Vec<u8>) {
    match run {
        Run::Shell(ShellRun { command, args, working_dir, env, stdin }) => {
            let shell = v1::ShellRun {
                command: command.clone(),
                working_dir: working_dir.clone().unwrap_or_default(),
                env: env.clone(),
                stdin: stdin.clone(),
                args: args.clone(),
            };
            (Some(v1::task_spec::Run::Shell(shell)), Vec::new())
        }
        Run::Docker(run) => (Some(v1::task_spec::Run::Docker(docker::v1_docker(run))), Vec::new()),
        Run::Handler(HandlerRun { payload }) => (None, payload.clone()),
    }
}

/// `timeout_ms` wins where it is set; both are checked.
fn timeout_from(secs: i32, ms: Option<i64>) -> Result<Option<Duration>> {
    let range = |field| move |_| Error::field(field, "must be 0 to 30 days");
    let secs = Duration::from_secs(u64::try_from(secs).map_err(range("timeout_secs"))?);
    if secs > limits::TIMEOUT {
        return Err(Error::field("timeout_secs", "must be 0 to 30 days"));
    }
    match ms {
        None if secs.is_zero() => Ok(Some(limits::TIMEOUT_DEFAULT)),
        None => Ok(Some(secs)),
        Some(0) => Ok(None),
        Some(ms) => {
            let length = Duration::from_millis(u64::try_from(ms).map_err(range("timeout_ms"))?);
            if length > limits::TIMEOUT {
                return Err(Error::field("timeout_ms", "must be 0 to 30 days"));
            }
            Ok(Some(length))
        }
    }
}

/// Whole seconds go where older clients look; `timeout_ms` says what they can't.
fn timeout_to(timeout: Option<Duration>) -> (i32, Option<i64>) {
    match timeout {
        None => (0, Some(0)),
        Some(length) => {
            let ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
            let secs = i32::try_from(length.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
            (secs, if ms % 1_000 == 0 && ms > 0 { None } else { Some(ms) })
        }
    }
}

/// Hashes queue and key, and the whole spec as it is understood (defaults filled in), so that two spellings of the same
/// wish are the same body.
fn key_of(text: &str, spec: &Spec, entries: &[Arc<str>]) -> Result<Option<IdempotencyKey>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > limits::WORD_CHARS {
        return Err(Error::field("idempotency_key", format!("is over {} characters", limits::WORD_CHARS)));
    }
    let mut key = blake3::Hasher::new();
    // The length keeps (queue "a", key "bc") apart from (queue "ab", key "c"); and entries ("a", "bc") from ("ab", "c").
    key.update(&(spec.queue.len() as u64).to_le_bytes()).update(spec.queue.as_bytes()).update(text.as_bytes());
    let mut body = blake3::Hasher::new();
    body.update(&v1::TaskSpec::from(spec).encode_to_vec());
    for entry in entries {
        body.update(&(entry.len() as u64).to_le_bytes()).update(entry.as_bytes());
    }
    Ok(Some(IdempotencyKey { key: half(key.finalize()), body: half(body.finalize()) }))
}

fn half(hash: blake3::Hash) -> [u8; 16] {
    std::array::from_fn(|i| hash.as_bytes()[i])
}
