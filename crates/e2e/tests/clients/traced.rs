//! Handlers of every kind know where they stand in a trace.

use crate::{
    python::{Python, python},
    sharing::rust_worker,
};
use e2e::{Cluster, connected, finished, handler};

const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_handler_is_told_its_place_in_a_trace_as_a_command_is() {
    let mut cluster = Cluster::empty();
    // What the handler's child sees.
    let line = r#"place-command=sh -c 'printf "%s %s" "$TRACEPARENT" "$TRACESTATE"'"#;
    cluster.worker_args = ["--handler", line].map(String::from).into();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let _rust = rust_worker(&cluster, "rust");
    let python = python().map(|python: Python| python.worker(&cluster, "python"));
    if python.is_none() {
        println!("skipped for Python: no grpcio and protobuf");
    }
    connected(&cluster, if python.is_some() { 3 } else { 2 });
    let names = ["place-command", "place-rust", "place-python"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let gateway = cluster.client();
        for name in &names[..if python.is_some() { 3 } else { 2 }] {
            let run = async |states: &[&'static str], place: Option<&'static str>| {
                let mut request = tonic::Request::new(handler(name, b"x"));
                if let Some(place) = place {
                    request.metadata_mut().insert("traceparent", place.parse().unwrap());
                }
                for state in states {
                    request.metadata_mut().append("tracestate", state.parse().unwrap());
                }
                let id = gateway.clone().submit_task(request).await.unwrap().into_inner().task_id;
                let task = finished(&gateway, &id).await;
                assert_eq!(task.state, "completed", "{task:#?}");
                (id, String::from_utf8(task.result).unwrap())
            };
            let (_, told) = run(&["rojo=1,congo=2", "t@v=3"], Some(PLACE)).await;
            assert_eq!(told, format!("{PLACE} rojo=1,congo=2,t@v=3"), "{name}");
            // What isn't one is as none.
            assert_eq!(run(&["odd"], Some(PLACE)).await.1, format!("{PLACE} "), "{name}");
            // Without a caller's, a trace called like the task; a state alone belongs to nothing.
            let (id, told) = run(&["rojo=1"], None).await;
            assert!(
                told.starts_with(&format!("00-{}-", id.replace('-', ""))) && told.ends_with("-00 "),
                "{name}: {told}"
            );
        }
    });
}
