//! What strangers send: too much, cut off, of another protocol, or nonsense. Each gets an error or is hung up on; nobody
//! else notices, and memory stays.

use super::{Report, load::block_on};
use crate::{Cluster, finished, memory_mib, shell};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use wire::v1::{self, gateway_client::GatewayClient, scheduler_client::SchedulerClient, worker_client::WorkerClient};

/// More than any message may have.
const HUGE_BYTES: usize = 32 << 20;
/// All this may leave so much behind in each service.
const GROWTH_MIB: f64 = 96.0;
/// A stranger who is not answered for so long is done.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn run(times: u32, report: &mut Report) {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.start_gateway();
    let mut worker = crate::Process::start("w0", cluster.dir(), &mut cluster.worker_command(0));
    let addresses = [cluster.gateway_address, cluster.scheduler_address, worker.listening()];
    let memory = |cluster: &Cluster| {
        let of = |process: &Option<crate::Process>| process.as_ref().map_or(0.0, |p| memory_mib(p, "VmRSS"));
        [of(&cluster.gateway), of(&cluster.scheduler), memory_mib(&worker, "VmRSS")]
    };
    normal(&cluster, report);
    let before = memory(&cluster);
    for _ in 0..times {
        for address in addresses {
            let strange = strange_bytes(report);
            report.tried(strange.len() + 1);
            strange.iter().for_each(|bytes| say(address, bytes));
            huge(address, report);
        }
        normal(&cluster, report);
    }
    for (name, (before, after)) in
        ["gateway", "scheduler", "worker"].into_iter().zip(before.into_iter().zip(memory(&cluster)))
    {
        report.figure(&format!("rss_mib_{name}"), serde_json::json!({ "before": before, "after": after }));
        report.must(after - before < GROWTH_MIB, || format!("the {name} grew from {before} to {after} MiB"));
    }
}

/// Others are served as ever.
fn normal(cluster: &Cluster, report: &mut Report) {
    block_on(async {
        let gateway = cluster.client();
        let accepted = gateway.clone().submit_task(shell("echo well")).await;
        let id = accepted.unwrap_or_else(|status| panic!("a good submit: {status:?}")).into_inner().task_id;
        report.wrong(usize::from(finished(&gateway, &id).await.state != "completed"));
    });
}

/// Bytes as no client of ours would say them.
fn strange_bytes(report: &mut Report) -> Vec<Vec<u8>> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let random = |report: &mut Report, length| (0..length).map(|_| report.draw(0..256) as u8).collect::<Vec<u8>>();
    let long = "x".repeat(1 << 20);
    vec![
        random(report, 4_096),
        [preface.as_slice(), &random(report, 4_096)].concat(),
        // A frame of 16 MB that never comes, and one for a stream that isn't open.
        [preface.as_slice(), b"\xff\xff\xff\0\0\0\0\0\x01"].concat(),
        [preface.as_slice(), b"\0\0\x05\0\0\0\0\0\x63hello"].concat(),
        // Resets without end.
        [preface.as_slice(), &b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08".repeat(2_000)].concat(),
        // HTTP/1 where gRPC is spoken, without a host, with too much of everything.
        b"POST /orchestrator.v1.Gateway/SubmitTask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
            .to_vec(),
        b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").into_bytes(),
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
    ]
}

/// Says it, hears what comes for a moment, and hangs up.
fn say(address: SocketAddr, bytes: &[u8]) {
    let Ok(mut stranger) = TcpStream::connect(address) else { return };
    let _ = stranger.set_read_timeout(Some(Duration::from_millis(100)));
    let _ = stranger.set_write_timeout(Some(ANSWERED_WITHIN));
    // It may be hung up on before it is through.
    let _ = stranger.write_all(bytes);
    let _ = stranger.read(&mut [0; 1_024]);
}

/// A message beyond the limit: refused by its length, not taken in first.
fn huge(address: SocketAddr, report: &mut Report) {
    let spec = v1::TaskSpec { name: "huge".into(), payload: vec![0; HUGE_BYTES], ..Default::default() };
    let url = format!("http://{address}");
    let refused = block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap_or_else(|error| panic!("{error}"));
        let channel = || endpoint.connect_lazy();
        let as_gateway = GatewayClient::new(channel()).submit_task(spec.clone()).await.map(drop);
        let entry = v1::SubmitEntry { task_id: String::new(), spec: Some(wire::pack(&spec)), ..Default::default() };
        let request = v1::SubmitRequest { tasks: vec![entry], ..Default::default() };
        let as_scheduler = SchedulerClient::new(channel()).submit(request).await.map(drop);
        let as_worker = WorkerClient::new(channel()).execute_task(spec).await.map(drop);
        [as_gateway, as_scheduler, as_worker]
    });
    for answer in refused {
        // A service doesn't know the calls of the others; its own it refuses.
        let code = answer.as_ref().err().map(tonic::Status::code);
        report.refused(usize::from(code.is_some()));
        report.must(code.is_some(), || format!("{HUGE_BYTES} bytes were accepted by {address}"));
    }
}
