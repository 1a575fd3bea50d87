//! Prometheus itself scrapes all services (`BATON_TEST_PROMETHEUS` names the program).

use crate::busy;
use e2e::{Process, eventually, http_get, skip};
use serde_json::Value;
use std::{fs, net::SocketAddr, process::Command};

fn ask(prometheus: SocketAddr, path: &str) -> Option<Value> {
    let (status, body) = http_get(prometheus, path);
    (status == 200).then(|| serde_json::from_str::<Value>(&body).unwrap()["data"].take())
}

/// The one value of a query.
fn value(prometheus: SocketAddr, query: &str) -> Option<f64> {
    let data = ask(prometheus, &format!("/api/v1/query?query={query}"))?;
    data["result"][0]["value"][1].as_str()?.parse().ok()
}

#[tokio::test]
async fn a_prometheus_scrapes_all_services() {
    let program = std::env::var("BATON_TEST_PROMETHEUS").unwrap_or_else(|_| "prometheus".into());
    if !Command::new(&program).arg("--version").output().is_ok_and(|o| o.status.success()) {
        return skip("no prometheus");
    }
    let (cluster, worker) = busy().await;
    let targets = [cluster.gateway_address, cluster.scheduler_address, worker];
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n  - job_name: baton\n    \
         static_configs: [{{targets: {targets:?}}}]\n"
    );
    fs::write(cluster.dir().join("prometheus.yml"), config).unwrap();
    // It can't say which port it took.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(program);
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}")).current_dir(cluster.dir());
    let _prometheus = Process::start("prometheus", cluster.dir(), &mut command);

    let up = || value(address, "sum(up)").filter(|up| *up == 3.0);
    eventually("all services to be up", up);
    let found = ask(address, "/api/v1/targets").unwrap();
    for target in found["activeTargets"].as_array().unwrap() {
        assert_eq!((target["health"].as_str(), target["lastError"].as_str()), (Some("up"), Some("")), "{target}");
    }
    for (query, wanted) in [
        ("sum(baton_tasks_finished_total)", 3.0),
        ("baton_tasks_finished_total{outcome=\"failed\"}", 1.0),
        ("baton_task_wait_seconds_count", 3.0),
        ("baton_worker_run_seconds_count", 3.0),
        ("baton_gateway_tasks_submitted_total", 3.0),
        ("baton_output_stored_bytes_total", 200_000.0),
        ("baton_worker_output_bytes_total", 200_000.0),
        ("baton_slots", 2.0),
        ("baton_slots_running", 0.0),
        ("baton_workers{status=\"connected\"}", 1.0),
        ("count(baton_build_info)", 3.0),
        ("sum(baton_task_wait_seconds_bucket{le=\"%2BInf\"})", 3.0),
    ] {
        eventually(query, || value(address, query).filter(|found| *found == wanted));
    }
}
