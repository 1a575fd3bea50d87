//! A service on a real port, as clients, probes and operators meet it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod echo;

use echo::{Running, get};
use service::{Service, Stopping, Tls};
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use wire::v1;

#[tokio::test]
async fn readyz_says_what_is_waited_for() {
    let running = Running::start().await;
    let (status, body) = get(running.addr, "/readyz", "localhost", None).await;
    let listening = format!(r#"{{"listening":{{"grpc":"{}"}},"ready":true,"waiting_for":[]}}"#, running.addr);
    assert_eq!((status, body), (200, listening));
    running.readiness.waiting("scheduler", "no scheduler at X");
    let (status, body) = get(running.addr, "/readyz", "localhost", None).await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""name":"scheduler""#) && body.contains("no scheduler at X"), "{body}");
    running.readiness.done("scheduler");
    assert_eq!(get(running.addr, "/readyz", "localhost", None).await.0, 200);
}

#[tokio::test]
async fn alive_measured_and_nothing_else() {
    let running = Running::start().await;
    assert_eq!(get(running.addr, "/healthz", "localhost", None).await.0, 200);
    let (status, text) = get(running.addr, "/metrics", "localhost", None).await;
    assert_eq!(status, 200);
    assert!(text.contains("baton_build_info{version="), "{text}");
    let (status, text) = get(running.addr, "/nope", "localhost", None).await;
    assert!(
        status == 404 && text.contains(r#""error":"no such route""#) && text.contains("details"),
        "{status} {text}"
    );
}

#[tokio::test]
async fn wrong_hosts_and_origins_are_refused_on_plain_routes() {
    let running = Running::start().await;
    for (host, origin, expected) in [
        ("127.0.0.1", None, 200),
        ("evil.example", None, 421),
        ("localhost", Some("http://evil.example"), 403),
        ("localhost", Some("http://localhost:5173"), 200),
    ] {
        assert_eq!(get(running.addr, "/healthz", host, origin).await.0, expected, "{host} {origin:?}");
    }
}

#[tokio::test]
async fn wrong_authorities_are_refused_on_grpc() {
    let running = Running::start().await;
    let evil = tonic::transport::Endpoint::from_shared(format!("http://{}", running.addr))
        .unwrap()
        .origin("http://evil.example".parse().unwrap());
    let mut client = v1::gateway_client::GatewayClient::new(evil.connect().await.unwrap());
    let status = client.health_check(v1::HealthCheckRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
}

#[tokio::test]
async fn grpc_health_follows_readiness() {
    let running = Running::start().await;
    let mut client = HealthClient::new(running.channel().await);
    let request = || HealthCheckRequest { service: "orchestrator.v1.Gateway".into() };
    let mut states = client.watch(request()).await.unwrap().into_inner();
    let mut next = async || states.next().await.unwrap().unwrap().status();
    let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
    // The first answer may come from before the service looked at its readiness.
    while next().await != serving {}
    running.readiness.waiting("x", "y");
    while next().await == serving {}
    running.readiness.done("x");
    while next().await != serving {}
    let unknown = client.check(HealthCheckRequest { service: "no.such.Service".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn both_generations_of_reflection_list_what_is_served() {
    let running = Running::start().await;
    let expected = ["grpc.health.v1.Health", "orchestrator.v1.Gateway"];
    for names in [echo::list_v1(running.channel().await).await, echo::list_v1alpha(running.channel().await).await] {
        for name in expected {
            assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|n| n == "orchestrator.v1.Scheduler"), "not served here: {names:?}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let running = Running::start().await;
    let mut client = v1::scheduler_client::SchedulerClient::new(running.channel().await);
    let status = client.health_check(v1::HealthCheckRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_a_stop() {
    let running = Running::start().await;
    let mut client = v1::gateway_client::GatewayClient::new(running.channel().await);
    let mut stream = client.watch_task(v1::WatchTaskRequest::default()).await.unwrap().into_inner();
    assert_eq!(stream.next().await.unwrap().unwrap().id, "1.0", "what was ready is sent");
    running.stopping.request();
    let end = stream.next().await.unwrap().unwrap_err();
    assert_eq!((end.code(), wire::broken(&end)), (Code::Unavailable, true), "{end:?}");
    running.ended().await;
}

#[tokio::test]
async fn a_call_that_never_ends_is_given_up_when_told_to_hurry() {
    let running = Running::start().await;
    let mut client = v1::gateway_client::GatewayClient::new(running.channel().await);
    let call = tokio::spawn(async move { client.get_task(v1::GetTaskRequest::default()).await });
    running.called().await;
    running.stopping.request();
    running.stopping.hurry();
    running.ended().await;
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn a_stopped_service_takes_no_more_connections() {
    let running = Running::start().await;
    let addr = running.addr;
    running.stopping.request();
    running.ended().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_a_hint_or_leads_to_the_next() {
    let running = Running::start().await;
    let options = echo::options(&[]);
    let error = Service::listen("X", running.addr, true, &options, &Tls::off(), false).await.unwrap_err();
    assert_eq!(error.to_string(), format!("address {} is already in use", running.addr));
    assert!(error.hint_text().is_some_and(|hint| hint.contains("--listen")));
    let next = Service::listen("X", running.addr, false, &options, &Tls::off(), false).await.unwrap();
    assert!(next.addr().port() > running.addr.port());
}

#[tokio::test]
async fn listening_for_everybody_has_to_be_wished_for() {
    let all = "0.0.0.0:0".parse().unwrap();
    let error = Service::listen("X", all, true, &echo::options(&[]), &Tls::off(), false).await.unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains("--insecure")), "{error}");
    assert!(Service::listen("X", all, true, &echo::options(&["--insecure"]), &Tls::off(), false).await.is_ok());
}

#[tokio::test]
async fn names_that_are_said_to_be_ours_are_served() {
    let running = Running::start_with(&["--public-host", "tasks.example.org"]).await;
    assert_eq!(get(running.addr, "/healthz", "tasks.example.org:443", None).await.0, 200);
}

#[tokio::test]
async fn a_stream_can_be_tied_to_the_stop() {
    let stopping = Stopping::new();
    let mut endless = Box::pin(stopping.until(tokio_stream::pending::<()>()));
    assert!(tokio::time::timeout(Duration::ZERO, endless.next()).await.is_err());
    stopping.request();
    assert_eq!(endless.next().await, None);
}
