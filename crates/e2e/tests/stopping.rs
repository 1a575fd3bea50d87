//! Ctrl-C: every service says that it stopped and exits with 0, streams open or not, read or not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, eventually, shell};
use rustix::process::Signal;
use wire::v1;

#[tokio::test]
async fn every_service_stops_on_ctrl_c_with_streams_open() {
    let mut cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let flag = cluster.dir().join("begun");
    let spec = shell(&format!("touch {}; sleep 600", flag.display()));
    let id = gateway.submit_task(spec).await.unwrap().into_inner().task_id;
    let watch = v1::WatchTaskRequest { task_id: id.clone(), output: true, ..Default::default() };
    let watching = gateway.watch_task(watch).await.unwrap();
    let following = gateway.subscribe_progress(v1::ProgressRequest { task_id: id }).await.unwrap();
    eventually("the task to begin", || flag.exists().then_some(()));

    let services = [
        ("Gateway service stopped", cluster.gateway.take()),
        ("Scheduler service stopped", cluster.scheduler.take()),
        ("Worker service stopped", cluster.workers[0].take()),
    ];
    for (line, process) in services {
        let mut process = process.unwrap();
        process.signal(Signal::INT);
        assert_eq!(process.line(), line);
        assert_eq!(process.ended().code(), Some(0), "{line}:\n{}", process.log());
    }
    drop((watching, following));
}
