//! `POST /tasks/docker` with a real engine: each operation, what it writes, and what can't be done.

use crate::story;
use e2e::{Cluster, Engine, IMAGE, connected, eventually, http};
use serde_json::{Value, json};

/// Asks for something, and gives the task's id.
fn submit(cluster: &Cluster, body: &Value) -> String {
    let answer = http::post(cluster.http_address, "/tasks/docker", body);
    let accepted = answer.json();
    assert_eq!((answer.status, &accepted["status"]), (200, &json!("pending")), "{body}: {answer:?}");
    assert_eq!(accepted["agent_id"], *body.get("agent_id").unwrap_or(&json!("")), "{body}");
    accepted["task_id"].as_str().unwrap().to_owned()
}

/// The end of a task's story: its status, exit code, and what was written to stdout; and how the task looks then.
fn ended(cluster: &Cluster, id: &str) -> (String, i64, String, Value) {
    let events = story(cluster, id);
    let status = events.last().unwrap().data()["event_response"]["status"].as_str().unwrap().to_owned();
    let code = events.last().unwrap().response()["exit_code"].as_i64().unwrap();
    // Other events than responses are progress.
    let responses = events.iter().filter(|event| event.field("event") == "response").map(http::Event::response);
    let written = responses.filter(|data| data["type"] == "stdout");
    let written = written.map(|data| data["output"].as_str().unwrap().to_owned()).collect();
    let task = http::get(cluster.http_address, &format!("/tasks/{id}")).json();
    (status, code, written, task)
}

fn running(engine: &Engine, name: &str) -> bool {
    engine.docker(&["inspect", "--format", "{{.State.Running}}", name]) == "true"
}

#[test]
fn containers_are_run_started_stopped_and_read_by_the_older_call() {
    let Some(engine) = Engine::start() else { return };
    let mut cluster = Cluster::empty();
    cluster.worker_args = ["--kill-grace", "1s", "--docker-host", &engine.host()].map(String::from).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    connected(&cluster, 1);
    engine.docker(&["create", "--name", "box", IMAGE, "sh", "-c", "echo from the box; exit 5"]);
    engine.docker(&["run", "--detach", "--init", "--name", "long", IMAGE, "sleep", "1000"]);
    let table = [
        (
            json!({ "agent_id": "w0", "operation": "run", "image": IMAGE, "timeout": 60, "env": { "A": "b c" },
                    "command": ["sh", "-c", "echo $A; exit 3"] }),
            ("FAILURE", 3, "b c\n", "exit code 3"),
        ),
        // Older clients send the field that isn't looked at as well.
        (json!({ "operation": "run", "image": IMAGE, "id": "box", "command": ["true"] }), ("SUCCESS", 0, "", "")),
        (json!({ "operation": "start", "id": "box" }), ("FAILURE", 5, "from the box\n", "exit code 5")),
        (json!({ "operation": "logs", "id": "box" }), ("SUCCESS", 0, "from the box\n", "")),
        (json!({ "operation": "stop", "id": "long", "image": IMAGE }), ("SUCCESS", 0, "", "")),
        (json!({ "operation": "stop", "id": "nowhere" }), ("FAILURE", -1, "", "No such container: nowhere")),
        (json!({ "operation": "logs", "id": "nowhere" }), ("FAILURE", -1, "", "No such container: nowhere")),
        (
            json!({ "operation": "run", "image": "127.0.0.1:1/none:1" }),
            ("FAILURE", -1, "", "not started: cannot pull image 127.0.0.1:1/none:1: "),
        ),
    ];
    for (body, (status, code, written, message)) in table {
        let (found, exit_code, output, task) = ended(&cluster, &submit(&cluster, &body));
        assert_eq!((&*found, exit_code, &*output), (status, code, written), "{body}: {task}");
        assert!(task["message"].as_str().unwrap().contains(message), "{body}: {task}");
        assert_eq!((&task["docker"]["operation"], &task["agent_id"]), (&body["operation"], &json!("w0")), "{task}");
    }
    assert!(!running(&engine, "long"), "it was stopped");
    // Cancelled, a started one is stopped and kept; one that ran is gone.
    for (body, name, kept) in [
        (json!({ "operation": "start", "id": "long" }), Some("long"), true),
        (json!({ "operation": "run", "image": IMAGE, "command": ["sleep", "1000"] }), None, false),
    ] {
        let id = submit(&cluster, &body);
        let name = name.map_or_else(|| format!("baton-{id}-1"), str::to_owned);
        let begun = || engine.docker(&["ps", "--format", "{{.Names}}"]).lines().any(|found| found == name);
        eventually("the container's start", || begun().then_some(()));
        let answer = http::http(cluster.http_address, "DELETE", &format!("/tasks/{id}"), &[], "");
        assert_eq!((answer.status, &answer.json()["message"]), (200, &json!("task cancelled")));
        assert!(!begun() && engine.containers().contains(&name) == kept, "{body}: {:?}", engine.containers());
        assert_eq!(ended(&cluster, &id).0, "CANCELLED");
    }
    engine.docker(&["rm", "--force", "box", "long"]);
    engine.empty("all of that");
}

#[test]
fn a_container_that_nobody_can_run_waits_and_says_so() {
    let mut cluster = Cluster::empty();
    cluster.worker_args = ["--docker-host", "none"].map(String::from).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    connected(&cluster, 1);
    let answer =
        http::post(cluster.http_address, "/tasks/docker", &json!({ "operation": "run", "image": "busybox" })).json();
    let why = |waiting: &Value| waiting["waiting_for"][0]["code"].as_str().map(str::to_owned);
    assert_eq!(why(&answer).as_deref(), Some("no_match"), "{answer}");
    let path = format!("/tasks/{}", answer["task_id"].as_str().unwrap());
    let task = http::get(cluster.http_address, &path).json();
    assert!(task.to_string().contains("no worker has the docker executor"), "{task}");
    // On a named worker it waits no longer than its timeout.
    let body = json!({ "agent_id": "w0", "operation": "logs", "id": "box", "timeout": 1 });
    let (status, code, _, task) = ended(&cluster, &submit(&cluster, &body));
    assert_eq!((&*status, code, &task["status"]), ("TIMEOUT", -1, &json!("timeout")), "{task}");
    assert_eq!(http::http(cluster.http_address, "DELETE", &path, &[], "").status, 200);
}

#[test]
fn what_is_wrong_with_a_container_is_named_as_the_older_call_names_it() {
    let cluster = Cluster::start(0);
    let table = [
        (json!({ "image": "busybox" }), "operation"),
        (json!({ "operation": "" }), "operation: "),
        (json!({ "operation": "pause", "id": "box" }), "operation: "),
        (json!({ "operation": "run" }), "image: "),
        (json!({ "operation": "run", "image": " " }), "image: "),
        (json!({ "operation": "start", "image": "busybox" }), "id: "),
        (json!({ "operation": "stop" }), "id: "),
        (json!({ "operation": "logs", "id": "" }), "id: "),
        (json!({ "operation": "logs", "id": "box", "command": ["true"] }), "command: "),
        (json!({ "operation": "run", "image": "busybox", "env": { "": "x" } }), "env: "),
        (json!({ "operation": "run", "image": "busybox", "timeout": -1 }), "timeout: "),
        (json!({ "operation": "run", "image": "busybox", "agent_id": "a/b" }), "agent_id: "),
        (json!({ "operation": "run", "image": "busybox", "volume": "/" }), "volume"),
    ];
    for (body, said) in table {
        let answer = http::post(cluster.http_address, "/tasks/docker", &body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.contains(said), "{body}: {answer:?}");
    }
    assert_eq!(http::get(cluster.http_address, "/tasks").json()["tasks"], json!([]));
}
