//! Specs and calls that tests use over and over.

use crate::PATIENCE;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint};
use wire::v1::{self, gateway_client::GatewayClient};

/// The generated client: tests speak the public contract and nothing else.
pub type Gateway = GatewayClient<Channel>;

/// A client that connects at its first call.
pub(crate) fn connect(address: SocketAddr) -> Gateway {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap_or_else(|e| panic!("{address}: {e}"));
    GatewayClient::new(endpoint.tcp_nodelay(true).connect_lazy()).max_decoding_message_size(16 << 20)
}

/// A task that runs a shell line.
pub fn shell(line: &str) -> v1::TaskSpec {
    let run = v1::ShellRun { command: line.into(), ..Default::default() };
    v1::TaskSpec { name: "shell".into(), run: Some(v1::task_spec::Run::Shell(run)), ..Default::default() }
}

/// A task that starts a program without a shell.
pub fn argv(program: &str, args: &[&str]) -> v1::TaskSpec {
    let args = args.iter().map(|a| (*a).to_owned()).collect();
    let run = v1::ShellRun { command: program.into(), args, ..Default::default() };
    v1::TaskSpec { name: "argv".into(), run: Some(v1::task_spec::Run::Shell(run)), ..Default::default() }
}

/// A task for a handler.
pub fn handler(name: &str, payload: &[u8]) -> v1::TaskSpec {
    v1::TaskSpec { name: name.into(), payload: payload.to_vec(), ..Default::default() }
}

/// Whether it is only that the gateway, or its scheduler, is away.
pub fn away(status: &tonic::Status) -> bool {
    wire::unsent(status) || wire::broken(status) || status.code() == tonic::Code::Unavailable
}

/// The whole story of a task, up to its final event; resumes when the gateway goes away in between.
///
/// # Panics
/// If it neither goes on nor ends.
pub async fn story(gateway: &Gateway, id: &str, output: bool) -> Vec<v1::TaskEvent> {
    let mut events: Vec<v1::TaskEvent> = Vec::new();
    let mut last = Instant::now();
    loop {
        let after = events.last().map(|e| e.id.clone()).unwrap_or_default();
        let request = v1::WatchTaskRequest { task_id: id.into(), after, output };
        let mut stream = match gateway.clone().watch_task(request).await {
            Ok(response) => response.into_inner(),
            Err(status) if away(&status) && last.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            Err(status) => panic!("watch {id}: {status:?}"),
        };
        loop {
            let Ok(next) = tokio::time::timeout(PATIENCE, stream.next()).await else {
                let end = &events[events.len().saturating_sub(3)..];
                panic!("the story of {id} doesn't go on after {} events: {end:#?}", events.len());
            };
            let Some(Ok(event)) = next else { break };
            let ends = matches!(&event.event, Some(v1::task_event::Event::State(s)) if s.r#final);
            events.push(event);
            if ends {
                return events;
            }
            last = Instant::now();
        }
    }
}

/// Waits for a task's end and gives the task.
///
/// # Panics
/// If it doesn't end.
pub async fn finished(gateway: &Gateway, id: &str) -> v1::Task {
    finished_with_output(gateway, id).await.0
}

/// The bytes of one stream of the latest attempt, as stored now.
///
/// # Panics
/// If they can't be read, or bytes are missing or repeated.
pub async fn output_of(gateway: &Gateway, id: &str, stream: v1::OutputStream) -> Vec<u8> {
    let request = v1::ReadOutputRequest { task_id: id.into(), stream: stream.into(), ..Default::default() };
    let mut chunks = match gateway.clone().read_output(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => panic!("output of {id}: {status:?}"),
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap_or_else(|status| panic!("output of {id}: {status:?}"));
        assert_eq!(chunk.offset, bytes.len() as u64, "output of {id} has a gap or an overlap");
        bytes.extend(chunk.data);
    }
    bytes
}

/// Waits for a task's end and gives the task with what all its attempts wrote to stdout.
///
/// # Panics
/// If it doesn't end.
pub async fn finished_with_output(gateway: &Gateway, id: &str) -> (v1::Task, Vec<u8>) {
    let mut bytes = Vec::new();
    for event in story(gateway, id, true).await {
        match event.event {
            Some(v1::task_event::Event::Output(output)) if output.stream() == v1::OutputStream::Stdout => {
                bytes.extend(output.data);
            }
            Some(
                v1::task_event::Event::Output(_) | v1::task_event::Event::State(_) | v1::task_event::Event::Progress(_),
            )
            | None => {}
        }
    }
    loop {
        match gateway.clone().get_task(v1::GetTaskRequest { task_id: id.into() }).await {
            Ok(response) => return (response.into_inner(), bytes),
            Err(status) if away(&status) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(status) => panic!("get {id}: {status:?}"),
        }
    }
}
