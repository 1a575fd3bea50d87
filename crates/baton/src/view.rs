//! Tasks, workers and events as programs and people read them. One destructuring per message: what is added to the
//! contract and forgotten here doesn't compile.

use crate::on_lost;
use domain::{Counts, StateWord};
use serde::Serialize;
use serde_json::{Map, Value, json};
use wire::v1;

/// A task as JSON.
pub fn task(task: &v1::Task) -> Value {
    let v1::Task {
        task_id,
        spec,
        status: _,
        state,
        waiting_for,
        attempts,
        progress_percent,
        message,
        result,
        created_at_ms,
        updated_at_ms,
        finished_at_ms,
        exit_code,
        worker_id,
        retry_of,
        members,
        array_id,
        array_index,
        entry,
    } = task;
    let mut object = Map::new();
    put(&mut object, "task_id", task_id);
    if let Some(spec) = spec {
        put(&mut object, "name", &spec.name);
        put(&mut object, "queue", &spec.queue);
        put(&mut object, "priority", spec.priority);
        put(&mut object, "command", command(spec));
        put(&mut object, "run_at", time(spec.run_at_ms));
        put(&mut object, "on_lost", on_lost::word(spec.on_lost));
    }
    // Only of what they are about: a plain task has none of them.
    put_some(&mut object, "members", members.as_ref().map(counts));
    put_some(&mut object, "array", Some(array_id).filter(|id| !id.is_empty()));
    put_some(&mut object, "index", *array_index);
    put_some(&mut object, "entry", entry.as_ref());
    put_some(&mut object, "retry_of", Some(retry_of).filter(|id| !id.is_empty()));
    put(&mut object, "state", state);
    put(&mut object, "waiting_for", waiting_for.iter().map(reason).collect::<Vec<_>>());
    put(&mut object, "attempts", attempts.iter().map(attempt).collect::<Vec<_>>());
    put(&mut object, "worker", worker_id);
    put(&mut object, "progress", progress_percent);
    put(&mut object, "message", message);
    put(&mut object, "exit_code", exit_code);
    put(&mut object, "result", text_of(result));
    put(&mut object, "created_at", time(*created_at_ms));
    put(&mut object, "updated_at", time(*updated_at_ms));
    put(&mut object, "finished_at", time(*finished_at_ms));
    Value::Object(object)
}

/// One reason why a task waits, as JSON.
pub fn reason(waiting: &v1::Waiting) -> Value {
    let v1::Waiting { code, text } = waiting;
    json!({"code": code, "text": text})
}

/// Why a task waits, for people: a moment is given to them as they write it.
pub fn why(waiting: &v1::Waiting) -> String {
    let v1::Waiting { code: _, text } = waiting;
    let moment = text.strip_suffix(" (Unix ms)").and_then(|text| text.rsplit_once(' '));
    let moment = moment.and_then(|(words, ms)| Some(format!("{words} {}", time(ms.parse().ok()?)?)));
    moment.unwrap_or_else(|| text.clone())
}

/// Tasks by state, as JSON.
pub fn counts(counts: &v1::TaskCounts) -> Value {
    let object = Counts::from(counts).iter().map(|(word, n)| (word.as_str().to_owned(), n.into())).collect();
    Value::Object(object)
}

/// Tasks by state in words, those that there are: `3 of 10 final: 2 completed, 1 failed; 4 running, 3 queued`.
pub fn counted(counts: &v1::TaskCounts) -> String {
    let counts = Counts::from(counts);
    let list = |ends: bool| {
        let words = counts.iter().filter(|(word, n)| word.is_final() == ends && *n > 0);
        words.map(|(word, n)| format!("{n} {}", word.as_str())).collect::<Vec<_>>().join(", ")
    };
    let (ended, live) = (list(true), list(false));
    let head = format!("{} of {} final", counts.sum(StateWord::is_final), counts.total());
    match (ended.is_empty(), live.is_empty()) {
        (true, true) => head,
        (true, false) => format!("{head}; {live}"),
        (false, true) => format!("{head}: {ended}"),
        (false, false) => format!("{head}: {ended}; {live}"),
    }
}

/// A queue as JSON.
pub fn queue(queue: &v1::QueueInfo) -> Value {
    let v1::QueueInfo { queue, paused, tasks } = queue;
    json!({"queue": queue, "paused": paused, "tasks": counts(&tasks.unwrap_or_default())})
}

/// How a task fits a worker, as JSON.
pub fn fit(fit: &v1::WorkerFit) -> Value {
    let v1::WorkerFit { worker_id, missing, free } = fit;
    json!({"worker_id": worker_id, "missing": missing, "free": free})
}

fn attempt(attempt: &v1::Attempt) -> Value {
    let v1::Attempt {
        number,
        worker_id,
        dispatched_at_ms,
        started_at_ms,
        ended_at_ms,
        outcome,
        exit_code,
        stdout_bytes,
        stderr_bytes,
    } = attempt;
    json!({
        "number": number, "worker": worker_id, "dispatched_at": time(*dispatched_at_ms),
        "started_at": time(*started_at_ms), "ended_at": time(*ended_at_ms), "outcome": outcome,
        "exit_code": exit_code, "stdout_bytes": stdout_bytes, "stderr_bytes": stderr_bytes,
    })
}

/// A worker as JSON.
pub fn worker(worker: &v1::WorkerInfo) -> Value {
    let v1::WorkerInfo {
        worker_id,
        status,
        address,
        labels,
        slots,
        running,
        last_heartbeat_ms,
        handlers,
        kill_level,
        version,
        executors,
    } = worker;
    json!({
        "worker_id": worker_id, "status": status, "address": address, "labels": labels, "slots": slots,
        "running": running, "last_heartbeat": time(*last_heartbeat_ms), "handlers": handlers,
        "kill_level": kill_level, "version": version, "executors": executors,
    })
}

/// An event as JSON.
pub fn event(event: &v1::TaskEvent) -> Value {
    let v1::TaskEvent { task_id, id, sequence, at_ms, attempt, event } = event;
    let mut object = Map::new();
    put(&mut object, "task_id", task_id);
    put(&mut object, "id", id);
    put(&mut object, "sequence", sequence);
    put(&mut object, "at", time(*at_ms));
    put(&mut object, "attempt", attempt);
    match event {
        Some(v1::task_event::Event::State(state)) => {
            put(&mut object, "state", &state.state);
            put(&mut object, "message", &state.message);
            put(&mut object, "worker", &state.worker_id);
            put(&mut object, "final", state.r#final);
            if state.r#final {
                put(&mut object, "exit_code", state.exit_code);
            }
        }
        Some(v1::task_event::Event::Progress(progress)) => {
            put(&mut object, "progress", progress.percent);
            put(&mut object, "message", &progress.message);
        }
        Some(v1::task_event::Event::Output(output)) => {
            put(&mut object, "stream", stream(output.stream()));
            put(&mut object, "offset", output.offset);
            put(&mut object, "data", text_of(&output.data));
            put(&mut object, "dropped", output.dropped);
        }
        None => {}
    }
    Value::Object(object)
}

/// A stream's name.
pub fn stream(stream: v1::OutputStream) -> &'static str {
    match stream {
        v1::OutputStream::Stdout => "stdout",
        v1::OutputStream::Stderr => "stderr",
        v1::OutputStream::Unspecified => "unknown",
    }
}

/// What a task runs, on one line.
pub fn command(spec: &v1::TaskSpec) -> String {
    match &spec.run {
        Some(v1::task_spec::Run::Shell(shell)) => {
            let words: Vec<&str> = std::iter::once(&shell.command).chain(&shell.args).map(String::as_str).collect();
            words.join(" ")
        }
        Some(v1::task_spec::Run::Docker(docker)) => container(docker),
        None => format!("handler {}", spec.name),
    }
}

/// A container task as the engine's own command line would say it.
fn container(docker: &v1::DockerRun) -> String {
    let v1::DockerRun {
        operation,
        image,
        container_id,
        command,
        env: _,
        memory_bytes: _,
        cpu_millis: _,
        pids: _,
        working_dir: _,
    } = docker;
    let words = ["docker", operation, image, container_id].into_iter().chain(command.iter().map(String::as_str));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Unix milliseconds as RFC 3339 in UTC; nothing for 0, which says that it hasn't happened.
pub fn time(unix_ms: i64) -> Option<String> {
    let stamp = jiff::Timestamp::from_millisecond(unix_ms).ok().filter(|_| unix_ms != 0)?;
    Some(format!("{stamp:.3}"))
}

/// Bytes as text where they are text; a list of numbers says nothing to anybody.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn put(object: &mut Map<String, Value>, key: &str, value: impl Serialize) {
    // Strings, numbers and lists of them always have a JSON form.
    object.insert(key.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
}

fn put_some(object: &mut Map<String, Value>, key: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        put(object, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_moments_as_they_write_them() {
        let why = |text: &str| super::why(&v1::Waiting { code: "delayed".into(), text: text.into() });
        assert_eq!(why("delayed until 1769839200500 (Unix ms)"), "delayed until 2026-01-31T06:00:00.500Z");
        assert_eq!(why("queue nightly is paused"), "queue nightly is paused");
    }

    #[test]
    fn counts_are_told_without_those_that_are_none() {
        let members = v1::TaskCounts { completed: 2, failed: 1, running: 4, queued: 3, ..Default::default() };
        assert_eq!(counted(&members), "3 of 10 final: 2 completed, 1 failed; 3 queued, 4 running");
        assert_eq!(counted(&v1::TaskCounts { queued: 3, ..Default::default() }), "0 of 3 final; 3 queued");
        assert_eq!(counted(&v1::TaskCounts { completed: 3, ..Default::default() }), "3 of 3 final: 3 completed");
        assert_eq!(counts(&members)["timed_out"], 0, "programs find every state");
    }
}
