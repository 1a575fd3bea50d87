//! Services that cannot do their job say so and exit with 1, without a panic; those that wait say what for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Process, binary, shell};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
};

/// A service that is expected to give up.
fn refused(cluster: &Cluster, name: &str, args: &[&str]) -> Output {
    let output = Command::new(binary(name)).args(args).current_dir(cluster.dir()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{name} {args:?}: {output:?}");
    assert!(!text.contains("panicked"), "{text}");
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_in_use_is_named_with_a_hint() {
    let cluster = Cluster::empty();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    for (name, data) in [("gateway", None), ("scheduler", Some("s")), ("worker", Some("w"))] {
        let mut args = vec!["--listen", &address];
        args.extend(data.iter().flat_map(|d| ["--data-dir", d]));
        let text = stderr(&refused(&cluster, name, &args));
        assert!(text.contains(&format!("error: address {address} is already in use")), "{name}: {text}");
        assert!(text.contains("hint:"), "{name}: {text}");
    }
    let args = ["--listen", "127.0.0.1:0", "--http-listen", &address];
    let text = stderr(&refused(&cluster, "gateway", &args));
    assert!(text.contains(&format!("error: address {address} is already in use")), "{text}");
    assert!(text.contains("hint:") && text.contains("--http-listen"), "{text}");
}

#[test]
fn a_data_directory_that_cannot_be_written_or_is_taken_is_named() {
    let mut cluster = Cluster::empty();
    let file = cluster.dir().join("file");
    fs::write(&file, "in the way").unwrap();
    let inside = file.join("data");
    let inside = inside.to_str().unwrap();
    for name in ["scheduler", "worker"] {
        let text = stderr(&refused(&cluster, name, &["--listen", "127.0.0.1:0", "--data-dir", inside]));
        assert!(text.contains("error:") && text.contains(inside), "{name}: {text}");
    }
    cluster.start_scheduler();
    let taken = cluster.data_dir();
    let taken = taken.to_str().unwrap();
    let text = stderr(&refused(&cluster, "scheduler", &["--listen", "127.0.0.1:0", "--data-dir", taken]));
    assert!(text.contains("error:") && text.contains(taken), "{text}");
}

#[test]
fn a_database_from_a_newer_version_is_left_alone() {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.kill_scheduler();
    let database = fs::read_dir(cluster.data_dir())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| fs::read(p).is_ok_and(|b| b.starts_with(b"SQLite format 3\0")))
        .unwrap();
    let store = rusqlite::Connection::open(&database).unwrap();
    store.pragma_update(None, "user_version", 1_000_000).unwrap();
    store.close().unwrap();
    let data = cluster.data_dir();
    let data = data.to_str().unwrap();
    let text = stderr(&refused(&cluster, "scheduler", &["--listen", "127.0.0.1:0", "--data-dir", data]));
    assert!(text.contains("error:") && text.contains("newer"), "{text}");
    let store = rusqlite::Connection::open(&database).unwrap();
    let version: i64 = store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1_000_000, "nothing was changed");
}

#[test]
fn listening_beyond_this_machine_must_be_asked_for() {
    let cluster = Cluster::empty();
    for (name, data) in [("gateway", None), ("scheduler", Some("s")), ("worker", Some("w"))] {
        let mut args = vec!["--listen", "0.0.0.0:0"];
        args.extend(data.iter().flat_map(|d| ["--data-dir", d]));
        let text = stderr(&refused(&cluster, name, &args));
        assert!(text.contains("error:") && text.contains("--insecure"), "{name}: {text}");
    }
    let mut command = Command::new(binary("gateway"));
    command.args(["--listen", "0.0.0.0:0", "--http-listen", "127.0.0.1:0", "--insecure"]);
    let mut gateway = Process::start("gateway", cluster.dir(), &mut command);
    assert!(gateway.listening().ip().is_unspecified());
}

/// One HTTP/1.1 request over a plain socket: status and body.
fn http(address: SocketAddr, path: &str, host: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), body.to_owned())
}

#[tokio::test]
async fn a_gateway_without_scheduler_says_what_it_waits_for() {
    let mut cluster = Cluster::empty();
    cluster.start_gateway();
    let status = cluster.client().submit_task(shell("true")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(status.message().contains("scheduler"), "{status:?}");
    let (code, body) = http(cluster.gateway_address, "/readyz", "localhost");
    assert!(code == 503 && body.contains("scheduler"), "{code} {body}");
    assert_eq!(http(cluster.gateway_address, "/healthz", "localhost").0, 200);
    cluster.start_scheduler();
    e2e::eventually("the gateway to be ready", || {
        (http(cluster.gateway_address, "/readyz", "localhost").0 == 200).then_some(())
    });
}

#[test]
fn a_port_that_nobody_chose_is_found_by_the_one_that_is_printed() {
    let cluster = Cluster::empty();
    let mut command = std::process::Command::new(e2e::binary("gateway"));
    command.args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
    command.args(["--scheduler", &format!("http://{}", cluster.scheduler_address)]);
    let mut gateway = Process::start("gateway", cluster.dir(), &mut command);
    let printed = gateway.listening();
    // It says so before it is ready, too.
    let (code, body) = http(printed, "/readyz", "localhost");
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &said["listening"]["grpc"]), (503, &printed.to_string().into()), "{said}");
    let web: std::net::SocketAddr = said["listening"]["http"].as_str().unwrap().parse().unwrap();
    assert_ne!(web.port(), printed.port());
    let (_, again) = http(web, "/readyz", "localhost");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap()["listening"], said["listening"]);
    assert_eq!(http(web, "/openapi.json", "localhost").0, 200);
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.line(), "Gateway service stopped", "two lines in all");
}

#[test]
fn every_port_answers_health_readiness_and_metrics_and_no_foreign_host() {
    let mut cluster = Cluster::start(0);
    let mut worker = Process::start("w0", cluster.dir(), &mut cluster.worker_command(0));
    let address = worker.listening();
    cluster.workers.push(Some(worker));
    for address in [cluster.scheduler_address, cluster.gateway_address, cluster.http_address, address] {
        assert_eq!(http(address, "/healthz", "localhost").0, 200);
        e2e::eventually("readiness", || (http(address, "/readyz", "localhost").0 == 200).then_some(()));
        let (code, metrics) = http(address, "/metrics", "127.0.0.1");
        assert!(code == 200 && metrics.contains("baton_build_info"), "{code} {metrics}");
        let foreign =
            metrics.lines().filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("baton_")).count();
        assert_eq!(foreign, 0, "all names start with baton_: {metrics}");
        assert_eq!(http(address, "/healthz", "evil.example").0, 421);
    }
}
