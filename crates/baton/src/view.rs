//! Tasks, workers and events as programs and people read them. One destructuring per message: what is added to the
//! contract and forgotten here doesn't compile.

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
    } = task;
    let mut object = Map::new();
    put(&mut object, "task_id", task_id);
    if let Some(spec) = spec {
        put(&mut object, "name", &spec.name);
        put(&mut object, "queue", &spec.queue);
        put(&mut object, "priority", spec.priority);
        put(&mut object, "command", command(spec));
    }
    put(&mut object, "state", state);
    let reasons: Vec<_> = waiting_for.iter().map(|w| json!({"code": w.code, "text": w.text})).collect();
    put(&mut object, "waiting_for", reasons);
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
    } = worker;
    json!({
        "worker_id": worker_id, "status": status, "address": address, "labels": labels, "slots": slots,
        "running": running, "last_heartbeat": time(*last_heartbeat_ms), "handlers": handlers,
        "kill_level": kill_level, "version": version,
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
        None => format!("handler {}", spec.name),
    }
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
