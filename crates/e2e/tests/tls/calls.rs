//! What works: every port, both versions of HTTP, gRPC, and services that know each other.

use crate::fleet::{authority, baton, get, https, running, said};
use e2e::skip;
use std::process::Command;

#[test]
fn a_fleet_with_certificates_runs_tasks_and_answers_on_every_port() {
    let mut cluster = running();
    let (code, stdout, stderr) = said(&mut baton(&cluster, &["run", "--", "echo hello; exit 7"]));
    assert_eq!((code, stdout.as_str()), (Some(7), "hello\n"), "{stderr}");
    for address in [cluster.gateway_address, cluster.http_address, cluster.scheduler_address] {
        let ready = https(&cluster, address, &get("/readyz")).unwrap();
        assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""ready":true"#), "{address}: {ready}");
    }
    let body = r#"{"cmd": "echo over HTTP"}"#;
    let request = format!(
        "POST /tasks/shell HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = https(&cluster, cluster.http_address, &request).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("task_id"), "{answer}");
    let metrics = https(&cluster, cluster.gateway_address, &get("/metrics")).unwrap();
    assert!(metrics.contains("baton_tls_certificate_valid_until_seconds "), "{metrics}");
    cluster.stop();
}

#[test]
fn both_versions_of_http_are_offered() {
    let cluster = running();
    let ca = authority(&cluster).join("ca.crt");
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for port in [cluster.gateway_address.port(), cluster.http_address.port()] {
            let url = format!("https://localhost:{port}/healthz");
            let curl = Command::new("curl")
                .args(["-sS", flag, "-w", " %{http_version}", "--cacert"])
                .arg(&ca)
                .arg(url)
                .output();
            let Ok(output) = curl else { return skip("there is no curl") };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(
                text,
                format!("{{\"status\":\"alive\"}} {version}"),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
