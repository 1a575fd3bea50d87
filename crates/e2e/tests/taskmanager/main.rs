//! The older task manager's contract from outside: its sample client, code generated from its proto, and reflection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, PATIENCE, shell, skip};
use std::{path::PathBuf, process::Command};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use wire::{
    taskmanager::{StatusRequest, TaskRequest, task_manager_client::TaskManagerClient},
    v1,
};

fn from_root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A Python that can import these.
fn python(modules: &str) -> Option<String> {
    let python = std::env::var("BATON_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    probe.is_ok_and(|o| o.status.success()).then_some(python)
}

#[test]
fn the_sample_client_sees_its_task_through() {
    let Some(python) = python("grpc, grpc_tools") else { return skip("no Python with grpcio and grpcio-tools") };
    let mut cluster = Cluster::empty();
    cluster.worker_args = vec!["--handler".into(), "taskmanager=tr a-z A-Z".into()];
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let output = Command::new(python)
        .arg(from_root("examples/taskmanager/client.py"))
        .args([&cluster.gateway_address.to_string(), "write it large", "HIGH"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let id = first.strip_prefix("task ").unwrap();
    assert_eq!(rest, "QUEUED\nIN_PROGRESS\nCOMPLETED\nnow COMPLETED\n", "{}", String::from_utf8_lossy(&output.stderr));
    let task = e2e::json(&cluster, &["get", id]);
    let told = (task["name"].as_str(), task["priority"].as_i64(), task["result"].as_str());
    assert_eq!(told, (Some("taskmanager"), Some(10), Some("WRITE IT LARGE")), "{task}");
}

#[test]
fn errors_say_what_is_wrong_to_clients_that_know_nothing_but_reflection() {
    let Some(python) = python("grpc, grpc_reflection, grpc_requests") else {
        return skip("no Python with grpcio, grpcio-reflection and grpc_requests");
    };
    let cluster = Cluster::start(0);
    let script = from_root("crates/e2e/tests/taskmanager/reflection.py");
    let output = Command::new(python).arg(script).arg(cluster.gateway_address.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, "all as promised\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// Through the client that is compiled from the proto in Rust. Tasks of any other origin can be asked for as well.
#[tokio::test]
async fn each_change_of_a_task_is_one_message() {
    let cluster = Cluster::start(1);
    let mut manager = connect(&cluster).await;
    let fails_twice = v1::TaskSpec { max_retries: 1, ..shell("exit 1") };
    let times_out = v1::TaskSpec { timeout_ms: Some(50), ..shell("exec sleep 60") };
    let cases = [
        (fails_twice, vec!["QUEUED", "IN_PROGRESS", "QUEUED", "IN_PROGRESS", "FAILED"]),
        (times_out, vec!["QUEUED", "IN_PROGRESS", "FAILED"]),
    ];
    for (spec, wanted) in cases {
        let id = cluster.client().submit_task(spec).await.unwrap().into_inner().task_id;
        assert_eq!(statuses(&mut manager, &id).await, wanted);
        // The whole story, for one that comes late too.
        assert_eq!(statuses(&mut manager, &id).await, wanted);
    }
}

#[tokio::test]
async fn a_description_is_a_payload_and_the_words_are_priorities() {
    let cluster = Cluster::start(0);
    let (mut manager, mut gateway) = (connect(&cluster).await, cluster.client());
    for (word, priority) in [("LOW", -10), ("MEDIUM", 0), ("", 0), ("HIGH", 10)] {
        let request = TaskRequest { task_description: "grüßen".into(), priority: word.into() };
        let task_id = manager.submit_task(request).await.unwrap().into_inner().task_id;
        let task = gateway.get_task(v1::GetTaskRequest { task_id: task_id.clone() }).await.unwrap().into_inner();
        let spec = task.spec.unwrap();
        let told = (spec.name.as_str(), spec.priority, spec.payload.as_slice());
        assert_eq!(told, ("taskmanager", priority, "grüßen".as_bytes()), "{word}");
        gateway.cancel_task(v1::CancelTaskRequest { task_id: task_id.clone(), wait: true }).await.unwrap();
        assert_eq!(statuses(&mut manager, &task_id).await, ["QUEUED", "CANCELLED"]);
    }
}

async fn connect(cluster: &Cluster) -> TaskManagerClient<Channel> {
    TaskManagerClient::connect(format!("http://{}", cluster.gateway_address)).await.unwrap()
}

async fn statuses(manager: &mut TaskManagerClient<Channel>, id: &str) -> Vec<String> {
    let stream = manager.stream_task_status(StatusRequest { task_id: id.into() }).await.unwrap().into_inner();
    let all = tokio::time::timeout(PATIENCE, stream.map(|s| s.unwrap().status).collect::<Vec<_>>()).await.unwrap();
    let now = manager.check_task_status(StatusRequest { task_id: id.into() }).await.unwrap().into_inner().status;
    assert_eq!(all.last(), Some(&now));
    all
}
