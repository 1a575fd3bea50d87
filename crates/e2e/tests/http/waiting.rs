//! A named agent that isn't there is waited for, as long as the task may.

use crate::{story, stream};
use e2e::{Cluster, http};
use serde_json::json;

#[test]
fn a_task_waits_for_its_agent_up_to_its_timeout_and_says_so() {
    let mut cluster = Cluster::start(0);
    let submit = |cluster: &Cluster, timeout: i32| {
        let body = json!({ "agent_id": "w0", "cmd": "echo here", "timeout": timeout });
        http::post(cluster.http_address, "/tasks/shell", &body).json()["task_id"].as_str().unwrap().to_owned()
    };
    let (impatient, patient) = (submit(&cluster, 1), submit(&cluster, 300));
    let task = http::get(cluster.http_address, &format!("/tasks/{patient}")).json();
    assert_eq!((&task["status"], &task["agent_id"]), (&"pending".into(), &"w0".into()));
    assert_eq!(task["waiting_for"], json!([{ "code": "worker_away", "text": "worker w0 is not connected" }]));

    let last = story(&cluster, &impatient).pop().unwrap();
    assert_eq!(last.data()["event_response"]["status"], "TIMEOUT");
    assert_eq!(last.response()["exit_code"], -1);
    let task = http::get(cluster.http_address, &format!("/tasks/{impatient}")).json();
    assert_eq!((&task["status"], &task["message"]), (&"timeout".into(), &"not started within 1s".into()));
    let listed = http::get(cluster.http_address, "/agents/w0/tasks").json();
    let ids: Vec<_> = listed["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].clone()).collect();
    assert_eq!(ids, [patient.clone(), impatient], "an agent's tasks are also those that wait for it");

    let events = http::Events::open(cluster.http_address, &stream(&patient), None);
    cluster.start_worker(0);
    let events: Vec<_> = events.collect();
    assert_eq!(events.last().unwrap().data()["event_response"]["status"], "SUCCESS", "{events:?}");
}
