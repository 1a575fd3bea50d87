//! What is refused, with which status, always in the same form; what other origins may; and what schemathesis makes of it.

use crate::{submit, tool};
use e2e::{Cluster, Gate, connected, http, skip};
use serde_json::json;
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn every_documented_error_is_reached_and_has_the_same_form() {
    let mut cluster = Cluster::start(1);
    connected(&cluster, 1);
    let at = cluster.http_address;
    let gate = Gate::new(cluster.dir(), "gate");
    let running = submit(&cluster, &gate.line());
    gate.begun(1);
    let (retry, unknown) = (format!("/tasks/{running}/retry"), "/tasks/0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88");
    let (of_running, large) = (format!("/tasks/{running}"), format!("{{\"cmd\": \"{}\"}}", "x".repeat(17 << 20)));
    let keyed = |line: &str| json!({ "idempotency_key": "k", "shell": { "command": line } }).to_string();
    assert_eq!(http::http(at, "POST", "/tasks", &[], &keyed("true")).status, 200);
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    // Method, path, headers, body; status, and what the error must name.
    let table: &[(&str, &str, &[(&str, &str)], &str, u16, &str)] = &[
        ("POST", "/tasks/shell", json, "", 400, "empty"),
        ("POST", "/tasks/shell", json, "{\"cmd\": ", 400, "not JSON"),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\"} x", 400, "not JSON"),
        ("POST", "/tasks/shell", json, "[1]", 400, "invalid type"),
        ("POST", "/tasks/shell", json, "{}", 400, "cmd"),
        ("POST", "/tasks/shell", json, "{\"cmd\": \" \"}", 400, "cmd: "),
        ("POST", "/tasks/shell", json, "{\"cmd\": 1}", 400, "cmd: "),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\", \"comand\": 1}", 400, "comand"),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\", \"timeout\": -1}", 400, "timeout: "),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\", \"timeout\": 2592001}", 400, "timeout: "),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\", \"timeout\": \"5m\"}", 400, "timeout: "),
        ("POST", "/tasks/shell", json, "{\"cmd\": \"true\", \"agent_id\": \"a/b\"}", 400, "agent_id: "),
        ("POST", "/tasks", json, "{\"shell\": {\"command\": \"true\", \"env\": {\"A\": 1}}}", 400, "shell.env.A: "),
        ("POST", "/tasks", json, "{\"name\": \"h\", \"payload_base64\": \"%\"}", 400, "payload_base64: "),
        ("POST", "/tasks/batch", json, "{\"tasks\": []}", 400, "tasks: "),
        ("POST", "/tasks/batch", json, "{\"tasks\": [{\"name\": \"a\"}, {\"name\": \"\"}]}", 400, "tasks[1].name: "),
        ("GET", "/tasks/last", &[], "", 400, "task_id: "),
        ("GET", "/tasks/%ff", &[], "", 400, "path"),
        ("GET", "/tasks?status=running", &[], "", 400, "status: "),
        ("GET", "/tasks?limit=0", &[], "", 400, "limit: "),
        ("GET", "/tasks?limit=x", &[], "", 400, "limit: "),
        ("GET", "/tasks?cursor=x", &[], "", 400, "cursor: "),
        ("GET", "/tasks?stauts=failed", &[], "", 400, "stauts"),
        ("GET", "/stream", &[], "", 400, "ref: "),
        ("GET", "/stream?ref=1", &[], "", 400, "task_id: "),
        ("GET", &format!("/stream?ref={running}"), &[("last-event-id", "x")], "", 400, "Last-Event-ID: "),
        ("GET", &format!("/tasks/{running}/output?stream=both"), &[], "", 400, "stream: "),
        ("GET", "/tasks", &[("origin", "https://evil.example")], "", 403, "--allow-origin"),
        ("GET", unknown, &[], "", 404, "no task"),
        ("DELETE", unknown, &[], "", 404, "no task"),
        ("GET", &format!("{unknown}/events"), &[], "", 404, "no task"),
        ("GET", &format!("{unknown}/explain"), &[], "", 404, "no task"),
        ("POST", &format!("{unknown}/retry"), &[], "", 404, "no task"),
        ("GET", &unknown.replace("/tasks/", "/stream?ref="), &[], "", 404, "no task"),
        ("GET", &format!("/tasks/{running}/output?attempt=9"), &[], "", 404, "no attempt 9"),
        ("POST", "/workers/nobody/drain", &[], "", 404, "nobody"),
        ("GET", "/nothing", &[], "", 404, "route"),
        ("PUT", &of_running, json, "{}", 405, "method"),
        ("POST", "/healthz", json, "{}", 405, "method"),
        ("POST", &retry, &[], "", 409, "running"),
        ("POST", "/tasks", json, &keyed("false"), 409, "idempotency_key: "),
        ("POST", "/tasks/shell", json, &large, 413, "bytes"),
        ("POST", "/tasks/shell", &[("content-type", "text/plain")], "{\"cmd\": \"true\"}", 415, "application/json"),
        ("GET", "/tasks", &[("host", "evil.example")], "", 421, "--public-host"),
    ];
    let refused = |(method, path, headers, body, status, named): &(&str, &str, &[(&str, &str)], &str, u16, &str)| {
        let answer = http::http(at, method, path, headers, body);
        let said = answer.json();
        let fields: Vec<_> = said.as_object().unwrap().keys().collect();
        let (error, details) =
            (said["error"].as_str().unwrap_or_default(), said["details"].as_str().unwrap_or_default());
        let shown = &body[..body.len().min(80)];
        assert_eq!((answer.status, fields.len()), (*status, 2), "{method} {path} {shown}: {said}");
        assert!(error.contains(named) && !details.is_empty(), "{method} {path} {shown}: {said}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        answer.header("allow").map(str::to_owned)
    };
    let allows: Vec<_> = table.iter().map(refused).collect();
    assert!(allows.iter().flatten().any(|allow| allow.contains("get") && allow.contains("delete")), "{allows:?}");
    cluster.kill_scheduler();
    refused(&("POST", "/tasks/shell", json, "{\"cmd\": \"true\"}", 503, "scheduler"));
    refused(&("GET", "/tasks", &[], "", 503, "scheduler"));
}

#[test]
fn pages_of_allowed_origins_may_call_and_read() {
    let mut cluster = Cluster::empty();
    cluster.environment.push(("BATON_ALLOW_ORIGIN".into(), "https://ui.example.org".into()));
    cluster.start_scheduler();
    cluster.start_gateway();
    let at = cluster.http_address;
    for origin in ["https://ui.example.org", "http://localhost:5173"] {
        let answer = http::http(at, "GET", "/agents", &[("origin", origin)], "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)), "{answer:?}");
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{answer:?}");
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "content-type,last-event-id"),
        ];
        let answer = http::http(at, "OPTIONS", "/tasks/shell", &asks, "");
        let allowed = |name: &str, word: &str| answer.header(name).is_some_and(|value| value.contains(word));
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)), "{answer:?}");
        assert!(allowed("access-control-allow-methods", "delete"), "{answer:?}");
        assert!(allowed("access-control-allow-headers", "last-event-id"), "{answer:?}");
    }
    let answer = http::http(at, "OPTIONS", "/tasks/shell", &[("origin", "https://evil.example")], "");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{answer:?}");
}

#[test]
fn the_openapi_document_is_the_one_that_is_checked_in() {
    let mut cluster = Cluster::empty();
    cluster.start_gateway();
    let answer = http::get(cluster.http_address, "/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json()["openapi"], "3.1.0");
    assert_eq!(answer.body, include_bytes!("../../../../docs/openapi.json"));
}

#[test]
fn schemathesis_finds_no_server_error() {
    let Some(schemathesis) = tool("schemathesis/bin/schemathesis") else { return skip("no schemathesis") };
    // Without a worker: what it submits is never run, and only ends, and with it what follows it, because it is cancelled.
    let cluster = Cluster::start(0);
    let stop = Arc::new(AtomicBool::new(false));
    let cancelling = {
        let (stop, gateway) = (Arc::clone(&stop), cluster.client());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let all = wire::v1::CancelTasksRequest { all: true, ..Default::default() };
                runtime.block_on(gateway.clone().cancel_tasks(all)).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let output = Command::new(schemathesis)
        .args(["run", &format!("http://{}/openapi.json", cluster.http_address), "--no-color"])
        .args(["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--max-examples", "10"])
        .args(["--generation-deterministic", "--request-timeout", "30", "--suppress-health-check", "all"])
        .current_dir(cluster.dir())
        .output()
        .unwrap();
    stop.store(true, Ordering::Relaxed);
    cancelling.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(http::get(cluster.http_address, "/readyz").status, 200);
}
