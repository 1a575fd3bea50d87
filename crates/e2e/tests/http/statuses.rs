//! Every status that the OpenAPI document names can be had, and none that it doesn't name: each is reached here.

use crate::{story, submit};
use e2e::{Cluster, Gate, connected, eventually, http};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    thread,
};

const ABSENT: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A route of the document.
struct Operation {
    method: String,
    template: String,
    body: bool,
}

impl Operation {
    /// Its path, with things in it that exist; `id` is a task's.
    fn path(&self, id: &str) -> String {
        let path = self.template.replace("/tasks/{id}", &format!("/tasks/{id}"));
        path.replace("{id}", "w0").replace("{name}", "q").replace("/stream", &format!("/stream?ref={id}"))
    }

    /// Its path, with something in it that there isn't.
    fn absent(&self) -> String {
        match self.template.as_str() {
            // Of an array that there isn't there are no members.
            "/tasks" if self.method == "GET" => format!("/tasks?array={ABSENT}"),
            template => {
                let path = template.replace("/tasks/{id}", &format!("/tasks/{ABSENT}"));
                path.replace("{id}", "nobody")
                    .replace("{name}", "none")
                    .replace("/stream", &format!("/stream?ref={ABSENT}"))
            }
        }
    }

    /// A request that is wrong, and its body.
    fn wrong(&self) -> (String, &'static str) {
        if self.body {
            (self.path(ABSENT), "{")
        } else if self.template.contains('{') {
            (self.template.replace("{id}", "%ff").replace("{name}", "%ff"), "")
        } else {
            (format!("{}?nonsense=1", self.template), "")
        }
    }

    /// What it takes, if it takes something.
    fn good_body(&self) -> String {
        let shell = json!({ "shell": { "command": "true" } });
        match self.template.as_str() {
            "/tasks/shell" | "/agents/{id}/shell" => json!({ "cmd": "true" }),
            "/tasks/docker" => json!({ "operation": "run", "image": "busybox" }),
            "/tasks/batch" => json!({ "tasks": [shell] }),
            "/tasks" if self.body => shell,
            _ => return String::new(),
        }
        .to_string()
    }
}

/// The routes, and the statuses that each is said to have.
fn document() -> (Vec<Operation>, BTreeSet<String>) {
    let document: Value = serde_json::from_slice(include_bytes!("../../../../docs/openapi.json")).unwrap();
    let (mut operations, mut statuses) = (Vec::new(), BTreeSet::new());
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let codes = operation["responses"].as_object().unwrap().keys();
            statuses.extend(codes.map(|code| format!("{method} {template} {code}")));
            let body = operation.get("requestBody").is_some();
            operations.push(Operation { method, template: template.clone(), body });
        }
    }
    (operations, statuses)
}

/// The statuses that were had.
struct Reached {
    at: SocketAddr,
    statuses: Mutex<BTreeSet<String>>,
}

impl Reached {
    fn note(&self, operation: &Operation, status: u16) {
        let Operation { method, template, body: _ } = operation;
        self.statuses.lock().unwrap().insert(format!("{method} {template} {status}"));
    }

    fn call(&self, operation: &Operation, path: &str, headers: Headers, body: &str) -> http::Answer {
        let answer = http::http(self.at, &operation.method, path, headers, body);
        self.note(operation, answer.status);
        if answer.status >= 400 {
            let problem = answer.json();
            assert!(problem["error"].is_string() && problem["details"].is_string(), "{path}: {answer:?}");
        }
        answer
    }

    /// A call with a body that doesn't come.
    fn stall(&self, operation: &Operation) {
        let mut socket = TcpStream::connect(self.at).unwrap();
        let (method, path) = (&operation.method, operation.path(ABSENT));
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{{");
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        self.note(operation, answer.split(' ').nth(1).unwrap().parse().unwrap());
    }
}

#[test]
fn every_documented_status_of_every_route_is_reached_and_no_other() {
    let (operations, documented) = document();
    let mut cluster = Cluster::empty();
    cluster.worker_args = ["--kill-grace", "60s"].map(String::from).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    connected(&cluster, 1);
    let reached = Reached { at: cluster.http_address, statuses: Mutex::default() };
    let done = submit(&cluster, "true");
    let end = story(&cluster, &done).last().unwrap().field("id").to_owned();
    thread::scope(|scope| {
        let reached = &reached;
        for operation in operations.iter().filter(|operation| operation.body) {
            scope.spawn(move || reached.stall(operation));
        }
        scope.spawn(|| everyday(reached, &operations, &done, &end));
        under_way(&cluster, reached, &operations);
    });
    full_disk(&mut cluster, &reached, &operations, &done);
    lost_store(&mut cluster, &reached, &operations, &done);
    cluster.kill_scheduler();
    thread::scope(|scope| {
        let reached = &reached;
        for operation in &operations {
            scope.spawn(move || drop(reached.call(operation, &operation.path(ABSENT), &[], &operation.good_body())));
        }
    });
    closed(&reached, &operations);
    let reached = reached.statuses.into_inner().unwrap();
    let (dreamt, hidden) = (documented.difference(&reached), reached.difference(&documented));
    let (dreamt, hidden): (Vec<_>, Vec<_>) = (dreamt.collect(), hidden.collect());
    assert!(dreamt.is_empty() && hidden.is_empty(), "never reached: {dreamt:#?}\nnot documented: {hidden:#?}");
}

/// Where callers have to say who they are: who doesn't hears so, and who tries it too often that as well.
fn closed(open: &Reached, operations: &[Operation]) {
    let mut cluster = Cluster::empty();
    let auth = ["--auth", "tokens"].map(String::from);
    cluster.scheduler_args = auth.clone().into();
    cluster.start_scheduler();
    let token = cluster.data_dir().join("gateway.token").display().to_string();
    cluster.gateway_args.extend(auth.into_iter().chain(["--token-file".into(), token]));
    cluster.start_gateway();
    let reached = Reached { at: cluster.http_address, statuses: Mutex::default() };
    for operation in operations {
        let (path, body) = (operation.path(ABSENT), operation.good_body());
        for status in [401, 429] {
            eventually("a stranger to be told so", || {
                (reached.call(operation, &path, &[], &body).status == status).then_some(())
            });
        }
    }
    open.statuses.lock().unwrap().append(&mut reached.statuses.into_inner().unwrap());
}

/// Of a task that runs: another can't be made of it, and its end takes longer than a caller is kept waiting.
fn under_way(cluster: &Cluster, reached: &Reached, operations: &[Operation]) {
    let gate = Gate::new(cluster.dir(), "gate");
    let id = submit(cluster, &format!("trap '' TERM; {}", gate.line()));
    gate.begun(1);
    let of = |method: &str, template: &str| operations.iter().find(|o| o.method == method && o.template == template);
    let (retry, cancel) = (of("POST", "/tasks/{id}/retry").unwrap(), of("DELETE", "/tasks/{id}").unwrap());
    assert_eq!(reached.call(retry, &retry.path(&id), &[], "").status, 409);
    assert_eq!(reached.call(cancel, &cancel.path(&id), &[], "").status, 202);
    gate.open();
}

/// What needs nothing but a request.
fn everyday(reached: &Reached, operations: &[Operation], done: &str, end: &str) {
    let large = format!("{{\"cmd\": \"{}\"}}", "x".repeat(17 << 20));
    for operation in operations {
        let (path, body) = (operation.path(done), operation.good_body());
        reached.call(operation, &path, &[], &body);
        reached.call(operation, &path, &[("origin", "https://evil.example")], &body);
        reached.call(operation, &path, &[("host", "evil.example")], &body);
        reached.call(operation, &operation.absent(), &[], &body);
        let (path, body) = operation.wrong();
        if operation.body
            || operation.template.contains('{')
            || path.starts_with("/tasks")
            || path.starts_with("/stream")
        {
            reached.call(operation, &path, &[], body);
        }
        // Streams know where a reader was.
        if operation.template.ends_with("/events") || operation.template == "/stream" {
            reached.call(operation, &operation.path(done), &[("last-event-id", end)], "");
        }
        if operation.method == "DELETE" {
            let waiting =
                http::post(reached.at, "/tasks", &json!({ "worker": "nobody", "shell": { "command": "true" } }));
            let id = waiting.json()["task_id"].as_str().unwrap().to_owned();
            reached.call(operation, &operation.path(&id), &[], "");
        }
        if operation.body {
            reached.call(operation, &operation.path(done), &[("content-type", "text/plain")], "{}");
            reached.call(operation, &operation.path(done), &[], &large);
        }
        for line in ["true", "false"] {
            let task = json!({ "idempotency_key": operation.template, "shell": { "command": line } });
            match operation.template.as_str() {
                "/tasks" if operation.body => drop(reached.call(operation, "/tasks", &[], &task.to_string())),
                "/tasks/batch" => {
                    reached.call(operation, "/tasks/batch", &[], &json!({ "tasks": [task] }).to_string());
                }
                _ => {}
            }
        }
    }
}

/// Where the disk is full nothing new is taken.
fn full_disk(cluster: &mut Cluster, reached: &Reached, operations: &[Operation], done: &str) {
    cluster.kill_scheduler();
    cluster.scheduler_args = ["--min-free-disk", "900TiB"].map(String::from).into();
    cluster.start_scheduler();
    eventually("the scheduler to look at its disk", || {
        let answer = http::post(reached.at, "/tasks/shell", &json!({ "cmd": "true" }));
        (answer.status == 429).then_some(())
    });
    for operation in operations.iter().filter(|operation| operation.body || operation.template.ends_with("/retry")) {
        reached.call(operation, &operation.path(done), &[], &operation.good_body());
    }
}

/// Whoever has a receipt hears that the store has lost what it stands for. Small tasks travel together, on nobody's receipt.
fn lost_store(cluster: &mut Cluster, reached: &Reached, operations: &[Operation], done: &str) {
    cluster.kill_scheduler();
    cluster.scheduler_args.clear();
    cluster.start_scheduler();
    let answer = eventually("the scheduler to take tasks again", || {
        let answer = http::post(reached.at, "/tasks/shell", &json!({ "cmd": "true" }));
        (answer.status == 200).then_some(answer)
    });
    let receipt = answer.header("baton-receipt").expect("a receipt").to_owned();
    let brings: Headers = &[("baton-receipt", &receipt)];
    assert_eq!(http::http(reached.at, "GET", &format!("/tasks/{done}"), brings, "").status, 200);
    cluster.kill_scheduler();
    fs::remove_dir_all(cluster.data_dir()).unwrap();
    cluster.start_scheduler();
    // It listens before it has opened its store, and knows of no receipts until then.
    eventually("the store to be open", || {
        let answer = http::http(reached.at, "GET", &format!("/tasks/{done}"), brings, "");
        (answer.status == 500).then_some(())
    });
    let large = json!({ "name": "large", "payload": "x".repeat(300_000) }).to_string();
    for operation in operations {
        let alone = operation.template == "/tasks" && operation.body;
        let body = if alone { large.clone() } else { operation.good_body() };
        reached.call(operation, &operation.path(done), brings, &body);
    }
    let odd = http::http(reached.at, "GET", "/tasks", &[("baton-receipt", "odd")], "");
    assert!(odd.status == 400 && odd.json()["error"].as_str().unwrap().starts_with("baton-receipt: "), "{odd:?}");
}
