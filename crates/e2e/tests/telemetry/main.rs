//! What operators see: metrics as documented, scraped by a real Prometheus; traces, taken by a real collector.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documented;
mod prometheus;
mod traces;

use e2e::{Cluster, Process, said, shell};

/// A cluster in which something of everything has happened, and the address of its worker.
async fn busy() -> (Cluster, std::net::SocketAddr) {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.start_gateway();
    let mut worker = Process::start("w0", cluster.dir(), &mut cluster.worker_command(0));
    let address = worker.listening();
    cluster.workers.push(Some(worker));
    let gateway = cluster.client();
    // Output beyond what travels with the result.
    for line in ["true", "exit 3", "head -c 200000 /dev/zero"] {
        let id = gateway.clone().submit_task(shell(line)).await.unwrap().into_inner().task_id;
        e2e::finished(&gateway, &id).await;
    }
    // What the gateway shows is at most 100 ms old; so are the gauges.
    let workers = || said(&cluster, &["workers"]).1;
    e2e::eventually("the worker to be shown", || workers().contains("w0").then_some(()));
    (cluster, address)
}
