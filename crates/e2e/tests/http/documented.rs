//! The calls that the older system's documents show, one after the other, with curl as they show it.

use crate::stream;
use e2e::{Cluster, Gate, connected, skip};
use serde_json::Value;
use std::process::Command;

struct Curl(String);

impl Curl {
    /// What an answer says, with its status.
    fn call(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let (status, text) = self.text(method, path, body);
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}")))
    }

    fn text(&self, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--no-buffer", "--max-time", "60", "--write-out", "\n%{http_code}"]);
        curl.args(["--request", method, &format!("{}{path}", self.0)]);
        if let Some(body) = body {
            curl.args(["--header", "Content-Type: application/json", "--data", body]);
        }
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{method} {path}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// The data of all events of a task.
    fn follow(&self, id: &str) -> Vec<Value> {
        let (status, text) = self.text("GET", &stream(id), None);
        assert_eq!(status, 200, "{text}");
        assert!(
            text.lines().filter(|line| line.starts_with("event: ")).all(|line| line == "event: response"),
            "{text}"
        );
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str::<Value>(data).unwrap()["event_response"].take()).collect()
    }
}

/// `type` and `output` of each event.
fn told(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.iter().map(|e| &e["result"]["data"]).map(|data| (text(&data["type"]), text(&data["output"]))).collect()
}

#[test]
fn the_documented_calls_work_one_after_the_other() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("no curl");
    }
    let cluster = Cluster::start(1);
    connected(&cluster, 1);
    let curl = Curl(format!("http://{}", cluster.http_address));

    let body = r#"{"agent_id": "w0", "cmd": "echo 'Hello World'", "timeout": 300}"#;
    let (status, task) = curl.call("POST", "/tasks/shell", Some(body));
    assert_eq!((status, task["agent_id"].as_str(), task["status"].as_str()), (200, Some("w0"), Some("pending")));
    let id = task["task_id"].as_str().unwrap().to_owned();
    let created = task["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.as_bytes()[10] == b'T', "{created}");

    let events = curl.follow(&id);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let all = ["queued", "dispatched", "running"].map(|state| pair("status", state)).into_iter();
    let all: Vec<_> = all.chain([pair("stdout", "Hello World\n"), pair("status", "")]).collect();
    assert_eq!(told(&events), all);
    for (n, event) in (1..).zip(&events) {
        let (last, data) = (n == events.len() as u64, &event["result"]["data"]);
        assert_eq!((event["event_ref"].as_str(), &data["sequence"]), (Some(id.as_str()), &n.into()), "{event}");
        assert_eq!(event["status"], if last { "SUCCESS" } else { "IN_PROGRESS" }, "{event}");
        assert_eq!((&data["is_final"], &data["exit_code"]), (&last.into(), &0.into()), "{event}");
        assert!(data["timestamp"].as_i64().unwrap() > 1_600_000_000_000, "{event}");
    }

    let (status, got) = curl.call("GET", &format!("/tasks/{id}"), None);
    assert_eq!((status, got["status"].as_str(), got["timeout"].as_str()), (200, Some("completed"), Some("5m0s")));
    assert_eq!(
        (&got["task_id"], &got["agent_id"], &got["created_at"]),
        (&task["task_id"], &"w0".into(), &task["created_at"])
    );
    assert!(got["updated_at"].as_str() > got["created_at"].as_str(), "{got}");
    assert_eq!((&got["exit_code"], &got["attempt"], &got["state"]), (&0.into(), &1.into(), &"completed".into()));

    let gate = Gate::new(cluster.dir(), "gate");
    let body = serde_json::json!({ "agent_id": "w0", "cmd": gate.line() }).to_string();
    let (_, running) = curl.call("POST", "/tasks/shell", Some(&body));
    gate.begun(1);
    let path = format!("/tasks/{}", running["task_id"].as_str().unwrap());
    assert_eq!(curl.call("DELETE", &path, None), (200, serde_json::json!({ "message": "task cancelled" })));
    assert_eq!(curl.call("GET", &path, None).1["status"], "cancelled");
    let events = curl.follow(running["task_id"].as_str().unwrap());
    assert_eq!(events.last().unwrap()["status"], "CANCELLED");
    let (status, again) = curl.call("DELETE", &path, None);
    assert!(status == 400 && again["error"].is_string() && again["details"].is_string(), "{status} {again}");

    let (_, old) = curl.call("POST", "/agents/w0/shell", Some(r#"{"cmd": "echo hello; echo oh >&2; exit 3"}"#));
    let id = old["ref"].as_str().unwrap();
    let events = curl.follow(id);
    let last = events.last().unwrap();
    assert_eq!((last["status"].as_str(), &last["result"]["data"]["exit_code"]), (Some("FAILURE"), &3.into()));
    for output in [pair("stdout", "hello\n"), pair("stderr", "oh\n")] {
        assert!(told(&events).contains(&output), "{events:?}");
    }

    let (_, all) = curl.call("GET", "/tasks", None);
    let ids = |list: &Value| list["tasks"].as_array().unwrap().iter().map(|t| t["task_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&all), [&old["ref"], &running["task_id"], &task["task_id"]].map(Clone::clone), "newest first");
    let (_, of_agent) = curl.call("GET", "/agents/w0/tasks", None);
    assert_eq!((of_agent["agent_id"].as_str(), ids(&of_agent)), (Some("w0"), ids(&all)));
    let (_, page) = curl.call("GET", "/tasks?limit=1&status=completed,cancelled", None);
    assert_eq!(ids(&page), [running["task_id"].clone()]);
    let next = format!("/tasks?limit=1&status=completed,cancelled&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(ids(&curl.call("GET", &next, None).1), [task["task_id"].clone()]);

    let (_, agents) = curl.call("GET", "/agents", None);
    let agent = &agents["agents"][0];
    assert_eq!((&agent["agent_id"], &agent["status"], &agent["slots"]), (&"w0".into(), &"connected".into(), &2.into()));
    assert!(agent["last_heartbeat"].is_string() && agent["labels"].is_object() && agent["running"].is_u64(), "{agent}");
}

#[test]
fn the_routes_beside_them_do_what_grpc_does() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("no curl");
    }
    let cluster = Cluster::start(1);
    connected(&cluster, 1);
    let curl = Curl(format!("http://{}", cluster.http_address));
    let id = |task: &Value| task["task_id"].as_str().unwrap().to_owned();

    // Bytes that are no text go in and out as they are.
    let body = r#"{"name": "copy", "queue": "q", "shell": {"command": "cat; exit 7", "stdin_base64": "/wBh"}}"#;
    let (_, task) = curl.call("POST", "/tasks", Some(body));
    let (_, text) = curl.text("GET", &format!("/tasks/{}/events", id(&task)), None);
    let said = ["event: state", "event: output", r#""data_base64":"/wBh""#, r#""final":true,"exit_code":7"#];
    assert!(said.iter().all(|part| text.contains(part)), "{text}");
    let output = e2e::http::get(cluster.http_address, &format!("/tasks/{}/output?stream=stdout&offset=1", id(&task)));
    assert_eq!((output.status, output.body.as_slice()), (200, b"\0a".as_slice()));
    let stderr = e2e::http::get(cluster.http_address, &format!("/tasks/{}/output?stream=stderr", id(&task)));
    assert_eq!((stderr.status, stderr.body.len()), (200, 0));

    let (status, again) = curl.call("POST", &format!("/tasks/{}/retry", id(&task)), None);
    assert_eq!((status, again["status"].as_str()), (200, Some("pending")));
    assert_eq!(curl.follow(&id(&again)).last().unwrap()["status"], "FAILURE");
    assert_eq!(curl.call("GET", &format!("/tasks/{}", id(&again)), None).1["retry_of"], task["task_id"]);

    let body =
        r#"{"tasks": [{"shell": {"command": "true"}}, {"shell": {"command": "false"}, "labels": {"gpu": "yes"}}]}"#;
    let (_, both) = curl.call("POST", "/tasks/batch", Some(body));
    let both = both["tasks"].as_array().unwrap();
    assert_eq!(curl.follow(&id(&both[0])).last().unwrap()["status"], "SUCCESS");
    assert_eq!(curl.call("GET", &format!("/tasks/{}", id(&both[1])), None).1["waiting_for"][0]["code"], "no_match");
    let (_, why) = curl.call("GET", &format!("/tasks/{}/explain", id(&both[1])), None);
    assert_eq!((&why["state"], &why["workers"][0]["missing"]), (&"queued".into(), &"label gpu=yes".into()), "{why}");

    assert_eq!(curl.call("POST", "/queues/q/pause", None).1, serde_json::json!({ "queue": "q", "paused": true }));
    let (_, queues) = curl.call("GET", "/queues", None);
    let paused = queues["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "q").unwrap();
    assert_eq!((&paused["paused"], &paused["tasks"]["failed"]), (&true.into(), &2.into()));
    assert_eq!(curl.call("POST", "/queues/q/resume", None).1["paused"], false);

    assert_eq!(curl.call("POST", "/workers/w0/drain", None).0, 200);
    assert_eq!(curl.call("GET", "/workers", None).1["workers"][0]["status"], "draining");
    assert_eq!(curl.call("POST", "/workers/w0/undrain", None).0, 200);
    assert_eq!(curl.call("GET", "/agents", None).1["agents"][0]["status"], "connected");
}
