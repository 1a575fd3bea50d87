//! What was asked. Its input (payload or stdin, up to 1 MiB) lies apart, so that lists don't read it.

use super::{Nothing, Unreadable, nanos};
use domain::{
    ArraySpec, Container, ContainerLimits, ContainerName, DockerRun, HandlerRun, IdempotencyKey, OnLost, Range, Ranges,
    RetryPolicy, Run, ShellRun, Spec, TraceContext, UnixMillis, WorkerId,
};
use prost::Message;
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, PartialEq, prost::Message)]
struct SpecRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(uint64, optional, tag = "3")]
    timeout_nanos: Option<u64>,
    #[prost(uint32, tag = "4")]
    max_retries: u32,
    #[prost(message, optional, tag = "5")]
    key: Option<KeyRecord>,
    #[prost(string, optional, tag = "6")]
    worker: Option<String>,
    #[prost(btree_map = "string, string", tag = "7")]
    labels: BTreeMap<String, String>,
    #[prost(sint32, tag = "8")]
    priority: i32,
    #[prost(string, tag = "9")]
    queue: String,
    #[prost(oneof = "RunRecord", tags = "10, 11, 15")]
    run: Option<RunRecord>,
    #[prost(int64, optional, tag = "12")]
    run_at_ms: Option<i64>,
    #[prost(message, optional, tag = "13")]
    array: Option<ArrayRecord>,
    /// [`OnLost::code`].
    #[prost(uint32, tag = "14")]
    on_lost: u32,
    #[prost(uint64, optional, tag = "40")]
    start_within_nanos: Option<u64>,
    #[prost(message, optional, tag = "80")]
    trace: Option<TraceRecord>,
    #[prost(string, tag = "81")]
    trace_state: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TraceRecord {
    /// The trace's 16 bytes and the span's 8.
    #[prost(bytes = "vec", tag = "1")]
    ids: Vec<u8>,
    #[prost(uint32, tag = "2")]
    flags: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ArrayRecord {
    /// First and last of each range in turn.
    #[prost(uint32, repeated, tag = "1")]
    bounds: Vec<u32>,
    #[prost(bool, tag = "2")]
    entries: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyRecord {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    body: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum RunRecord {
    #[prost(message, tag = "10")]
    Shell(ShellRecord),
    #[prost(message, tag = "11")]
    Handler(Nothing),
    #[prost(message, tag = "15")]
    Docker(DockerRecord),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ShellRecord {
    #[prost(string, tag = "1")]
    command: String,
    #[prost(string, repeated, tag = "2")]
    args: Vec<String>,
    #[prost(string, optional, tag = "3")]
    working_dir: Option<String>,
    #[prost(btree_map = "string, string", tag = "4")]
    env: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DockerRecord {
    #[prost(oneof = "DockerVerb", tags = "1, 2, 3, 4")]
    verb: Option<DockerVerb>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DockerVerb {
    #[prost(message, tag = "1")]
    Run(ContainerRecord),
    #[prost(string, tag = "2")]
    Start(String),
    #[prost(string, tag = "3")]
    Stop(String),
    #[prost(string, tag = "4")]
    Logs(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerRecord {
    #[prost(string, tag = "1")]
    image: String,
    #[prost(string, repeated, tag = "2")]
    command: Vec<String>,
    #[prost(btree_map = "string, string", tag = "3")]
    env: BTreeMap<String, String>,
    #[prost(string, optional, tag = "4")]
    working_dir: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    memory_bytes: Option<u64>,
    #[prost(uint32, optional, tag = "6")]
    cpu_millis: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pids: Option<u32>,
}

/// What the task reads: a handler's payload or a command's stdin.
pub(crate) fn input(spec: &Spec) -> &[u8] {
    match &spec.run {
        Run::Shell(shell) => &shell.stdin,
        Run::Docker(_) => &[],
        Run::Handler(handler) => &handler.payload,
    }
}

/// The spec without its input.
pub(crate) fn encode_spec(spec: &Spec) -> Vec<u8> {
    let Spec {
        name,
        description,
        run,
        timeout,
        retry,
        on_lost,
        key,
        worker,
        labels,
        priority,
        queue,
        run_at,
        array,
        start_within,
        trace,
        trace_state,
    } = spec;
    let RetryPolicy { max_retries } = *retry;
    SpecRecord {
        name: name.clone(),
        description: description.clone(),
        timeout_nanos: timeout.map(nanos),
        max_retries,
        key: key.as_ref().map(|IdempotencyKey { key, body }| KeyRecord { key: key.to_vec(), body: body.to_vec() }),
        worker: worker.as_ref().map(|w| w.as_str().to_owned()),
        labels: labels.clone(),
        priority: *priority,
        queue: queue.clone(),
        run: Some(match run {
            Run::Shell(ShellRun { command, args, working_dir, env, stdin: _ }) => RunRecord::Shell(ShellRecord {
                command: command.clone(),
                args: args.clone(),
                working_dir: working_dir.clone(),
                env: env.clone(),
            }),
            Run::Docker(docker) => RunRecord::Docker(encode_docker(docker)),
            Run::Handler(HandlerRun { payload: _ }) => RunRecord::Handler(Nothing {}),
        }),
        run_at_ms: run_at.map(|at| at.0),
        array: array.as_ref().map(|ArraySpec { ranges, entries }| ArrayRecord {
            bounds: ranges.parts().iter().flat_map(|Range { first, last }| [*first, *last]).collect(),
            entries: *entries,
        }),
        on_lost: on_lost.code().into(),
        start_within_nanos: start_within.map(nanos),
        trace: trace.map(|TraceContext { trace, span, flags }| TraceRecord {
            ids: [&trace[..], &span].concat(),
            flags: flags.into(),
        }),
        trace_state: trace_state.clone(),
    }
    .encode_to_vec()
}

/// The spec with the input given.
pub(crate) fn decode_spec(bytes: &[u8], input: Vec<u8>) -> Result<Spec, Unreadable> {
    let SpecRecord {
        name,
        description,
        timeout_nanos,
        max_retries,
        key,
        worker,
        labels,
        priority,
        queue,
        run,
        run_at_ms,
        array,
        on_lost,
        start_within_nanos,
        trace,
        trace_state,
    } = SpecRecord::decode(bytes)?;
    let run = match run.ok_or_else(|| Unreadable::missing("way to run"))? {
        RunRecord::Shell(ShellRecord { command, args, working_dir, env }) => {
            Run::Shell(ShellRun { command, args, working_dir, env, stdin: input })
        }
        RunRecord::Docker(docker) => Run::Docker(decode_docker(docker)?),
        RunRecord::Handler(Nothing {}) => Run::Handler(HandlerRun { payload: input }),
    };
    Ok(Spec {
        name,
        description,
        run,
        timeout: timeout_nanos.map(Duration::from_nanos),
        retry: RetryPolicy { max_retries },
        on_lost: OnLost::from_code(on_lost).ok_or_else(|| Unreadable::missing("known way to go on after a loss"))?,
        key: key.map(decode_key).transpose()?,
        worker: worker.as_deref().map(WorkerId::new),
        labels,
        priority,
        queue,
        run_at: run_at_ms.map(UnixMillis),
        array: array.map(decode_array).transpose()?,
        start_within: start_within_nanos.map(Duration::from_nanos),
        trace: trace.map(decode_trace).transpose()?,
        trace_state,
    })
}

fn encode_docker(docker: &DockerRun) -> DockerRecord {
    let verb = match docker {
        DockerRun::Run(Container { image, command, env, working_dir, limits }) => {
            let ContainerLimits { memory_bytes, cpu_millis, pids } = *limits;
            let (image, command, env, working_dir) = (image.clone(), command.clone(), env.clone(), working_dir.clone());
            DockerVerb::Run(ContainerRecord { image, command, env, working_dir, memory_bytes, cpu_millis, pids })
        }
        DockerRun::Start(ContainerName(name)) => DockerVerb::Start(name.clone()),
        DockerRun::Stop(ContainerName(name)) => DockerVerb::Stop(name.clone()),
        DockerRun::Logs(ContainerName(name)) => DockerVerb::Logs(name.clone()),
    };
    DockerRecord { verb: Some(verb) }
}

fn decode_docker(record: DockerRecord) -> Result<DockerRun, Unreadable> {
    let DockerRecord { verb } = record;
    Ok(match verb.ok_or_else(|| Unreadable::missing("operation on a container"))? {
        DockerVerb::Run(ContainerRecord { image, command, env, working_dir, memory_bytes, cpu_millis, pids }) => {
            let limits = ContainerLimits { memory_bytes, cpu_millis, pids };
            DockerRun::Run(Container { image, command, env, working_dir, limits })
        }
        DockerVerb::Start(name) => DockerRun::Start(ContainerName(name)),
        DockerVerb::Stop(name) => DockerRun::Stop(ContainerName(name)),
        DockerVerb::Logs(name) => DockerRun::Logs(ContainerName(name)),
    })
}

fn decode_trace(record: TraceRecord) -> Result<TraceContext, Unreadable> {
    let TraceRecord { ids, flags } = record;
    let wrong = || Unreadable::missing("trace of 25 bytes");
    let (trace, span) = ids.split_first_chunk().ok_or_else(wrong)?;
    let span = span.try_into().map_err(|_| wrong())?;
    Ok(TraceContext { trace: *trace, span, flags: u8::try_from(flags).map_err(|_| wrong())? })
}

fn decode_array(record: ArrayRecord) -> Result<ArraySpec, Unreadable> {
    let ArrayRecord { bounds, entries } = record;
    let (pairs, odd) = bounds.as_chunks::<2>();
    let ranges = pairs.iter().map(|[first, last]| Range { first: *first, last: *last }).collect();
    let ranges = Ranges::new(ranges).ok().filter(|_| odd.is_empty());
    Ok(ArraySpec { ranges: ranges.ok_or_else(|| Unreadable::missing("ranges of an array"))?, entries })
}

fn decode_key(record: KeyRecord) -> Result<IdempotencyKey, Unreadable> {
    let KeyRecord { key, body } = record;
    let sixteen = |bytes: Vec<u8>| bytes.try_into().map_err(|_| Unreadable::missing("key of 16 bytes"));
    Ok(IdempotencyKey { key: sixteen(key)?, body: sixteen(body)? })
}
