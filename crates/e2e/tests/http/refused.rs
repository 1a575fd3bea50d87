//! What is refused, with which status, always in the same form; what other origins may; and what schemathesis makes of it.

use crate::{submit, tool};
use e2e::{Cluster, Gate, connected, eventually, http, skip};
use serde_json::json;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

type Headers<'a> = &'a [(&'a str, &'a str)];
/// Method, path, headers, body; the status, and what the error must say.
type Case<'a> = (&'a str, &'a str, Headers<'a>, &'a str, u16, &'a str);

const JSON: Headers<'static> = &[("content-type", "application/json")];
/// Routes that take whole specs: half of the work of drawing requests.
const LARGE_SPECS: &str = "^/tasks(/batch)?$";
const UNKNOWN: &str = "/tasks/0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";

/// Makes a request that is refused, and gives the methods that are allowed instead, if it is about that.
fn refused(at: SocketAddr, (method, path, headers, body, status, said): Case) -> Option<String> {
    let answer = http::http(at, method, path, headers, body);
    let problem = answer.json();
    let shown = format!("{method} {path} {}: {problem}", &body[..body.len().min(80)]);
    let fields: Vec<_> = problem.as_object().unwrap().keys().collect();
    let text = |field: &str| problem[field].as_str().unwrap_or_default();
    assert_eq!((answer.status, fields.len()), (status, 2), "{shown}");
    assert!(text("error").contains(said) && !text("details").is_empty(), "{shown}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{shown}");
    answer.header("allow").map(str::to_owned)
}

/// A task that runs until its gate is opened.
fn running(cluster: &Cluster) -> String {
    connected(cluster, 1);
    let gate = Gate::new(cluster.dir(), "gate");
    let id = submit(cluster, &gate.line());
    gate.begun(1);
    id
}

#[test]
fn what_is_wrong_with_a_body_is_named_by_its_field() {
    let cluster = Cluster::start(0);
    let table: &[(&str, &str, &str)] = &[
        ("/tasks/shell", "", "empty"),
        ("/tasks/shell", "{\"cmd\": ", "not JSON"),
        ("/tasks/shell", "{\"cmd\": \"true\"} x", "not JSON"),
        ("/tasks/shell", "[1]", "invalid type"),
        ("/tasks/shell", "{}", "cmd"),
        ("/tasks/shell", "{\"cmd\": \" \"}", "cmd: "),
        ("/tasks/shell", "{\"cmd\": 1}", "cmd: "),
        ("/tasks/shell", "{\"cmd\": \"true\", \"comand\": 1}", "comand"),
        ("/tasks/shell", "{\"cmd\": \"true\", \"timeout\": -1}", "timeout: "),
        ("/tasks/shell", "{\"cmd\": \"true\", \"timeout\": 2592001}", "timeout: "),
        ("/tasks/shell", "{\"cmd\": \"true\", \"timeout\": \"5m\"}", "timeout: "),
        ("/tasks/shell", "{\"cmd\": \"true\", \"agent_id\": \"a/b\"}", "agent_id: "),
        ("/agents/w0/shell", "{}", "cmd"),
        ("/tasks", "{\"shell\": {\"command\": \"true\", \"env\": {\"A\": 1}}}", "shell.env.A: "),
        ("/tasks", "{\"name\": \"h\", \"payload_base64\": \"%\"}", "payload_base64: "),
        ("/tasks", "{\"name\": \"h\", \"on_lost\": \"hope\"}", "on_lost: "),
        ("/tasks/batch", "{\"tasks\": []}", "tasks: "),
        ("/tasks/batch", "{\"tasks\": [{\"name\": \"a\"}, {\"name\": \"\"}]}", "tasks[1].name: "),
    ];
    for (path, body, said) in table {
        refused(cluster.http_address, ("POST", path, JSON, body, 400, said));
    }
}

#[test]
fn what_is_wrong_with_a_path_or_a_query_is_named() {
    let cluster = Cluster::start(1);
    let id = running(&cluster);
    let (stream, output) = (format!("/stream?ref={id}"), format!("/tasks/{id}/output?stream=both"));
    let table: &[(&str, Headers, &str)] = &[
        ("/tasks/last", &[], "task_id: "),
        ("/tasks/%ff", &[], "path"),
        ("/tasks?status=running", &[], "status: "),
        ("/tasks?limit=0", &[], "limit: "),
        ("/tasks?limit=x", &[], "limit: "),
        ("/tasks?cursor=x", &[], "cursor: "),
        ("/tasks?stauts=failed", &[], "stauts"),
        ("/stream", &[], "ref: "),
        ("/stream?ref=1", &[], "task_id: "),
        (&stream, &[("last-event-id", "x")], "Last-Event-ID: "),
        (&output, &[], "stream: "),
    ];
    for (path, headers, said) in table {
        refused(cluster.http_address, ("GET", path, headers, "", 400, said));
    }
}

#[test]
fn every_other_error_has_its_status_and_the_same_form() {
    let mut cluster = Cluster::start(1);
    let at = cluster.http_address;
    let id = running(&cluster);
    let large = format!("{{\"cmd\": \"{}\"}}", "x".repeat(17 << 20));
    let keyed = |line: &str| json!({ "idempotency_key": "k", "shell": { "command": line } }).to_string();
    assert_eq!(http::http(at, "POST", "/tasks", &[], &keyed("true")).status, 200);
    let table: &[Case] = &[
        ("GET", "/tasks", &[("origin", "https://evil.example")], "", 403, "--allow-origin"),
        ("GET", UNKNOWN, &[], "", 404, "no task"),
        ("DELETE", UNKNOWN, &[], "", 404, "no task"),
        ("GET", &format!("{UNKNOWN}/events"), &[], "", 404, "no task"),
        ("GET", &format!("{UNKNOWN}/explain"), &[], "", 404, "no task"),
        ("POST", &format!("{UNKNOWN}/retry"), &[], "", 404, "no task"),
        ("GET", &UNKNOWN.replace("/tasks/", "/stream?ref="), &[], "", 404, "no task"),
        ("GET", &format!("/tasks/{id}/output?attempt=9"), &[], "", 404, "no attempt 9"),
        ("POST", "/workers/nobody/drain", &[], "", 404, "nobody"),
        ("GET", "/nothing", &[], "", 404, "route"),
        ("POST", "/healthz", JSON, "{}", 405, "method"),
        ("POST", &format!("/tasks/{id}/retry"), &[], "", 409, "running"),
        ("POST", "/tasks", JSON, &keyed("false"), 409, "idempotency_key: "),
        ("POST", "/tasks/shell", JSON, &large, 413, "bytes"),
        ("POST", "/tasks/shell", &[("content-type", "text/plain")], "{\"cmd\": \"true\"}", 415, "application/json"),
        ("GET", "/tasks", &[("host", "evil.example")], "", 421, "--public-host"),
    ];
    for case in table {
        refused(at, *case);
    }
    let allow = refused(at, ("PUT", &format!("/tasks/{id}"), JSON, "{}", 405, "method"));
    assert!(allow.as_ref().is_some_and(|allow| allow.contains("get") && allow.contains("delete")), "{allow:?}");
    cluster.kill_scheduler();
    refused(at, ("POST", "/tasks/shell", JSON, "{\"cmd\": \"true\"}", 503, "scheduler"));
    refused(at, ("GET", "/tasks", &[], "", 503, "scheduler"));
}

#[test]
fn a_full_disk_is_a_limit_that_is_reached() {
    let mut cluster = Cluster::empty();
    cluster.scheduler_args = ["--min-free-disk", "900TiB"].map(String::from).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    let answer = eventually("the scheduler to look at its disk", || {
        let answer = http::post(cluster.http_address, "/tasks/shell", &json!({ "cmd": "true" }));
        (answer.status == 429).then_some(answer)
    });
    assert!(answer.json()["details"].as_str().unwrap().contains("try again later"), "{answer:?}");
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let mut cluster = Cluster::empty();
    cluster.start_gateway();
    let mut socket = TcpStream::connect(cluster.http_address).unwrap();
    write!(
        socket,
        "POST /tasks/shell HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{{"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"error\":"), "{answer}");
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
        let stop = Arc::clone(&stop);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gateway = runtime.block_on(async { cluster.client() });
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let all = wire::v1::CancelTasksRequest { all: true, ..Default::default() };
                runtime.block_on(gateway.clone().cancel_tasks(all)).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let run = |name: &str, which: &str| {
        let dir = cluster.dir().join(name);
        fs::create_dir(&dir).unwrap();
        let mut run = Command::new(&schemathesis);
        run.args(["run", &format!("http://{}/openapi.json", cluster.http_address), "--no-color", which, LARGE_SPECS]);
        run.args(["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--max-examples", "10"]);
        run.args(["--generation-deterministic", "--request-timeout", "30", "--suppress-health-check", "all"]);
        run.current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // What takes its time is drawing what is sent, and threads of one Python take turns: so there are two.
    let both = [run("large", "--include-path-regex"), run("others", "--exclude-path-regex")];
    let outputs = both.map(|child| child.wait_with_output().unwrap());
    stop.store(true, Ordering::Relaxed);
    cancelling.join().unwrap();
    for output in outputs {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(http::get(cluster.http_address, "/readyz").status, 200);
}
