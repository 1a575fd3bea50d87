//! Workers that aren't who they say, or say what isn't so: a second one with the same id; results of old attempts, of
//! others' attempts and of unknown tasks. Refused, counted, and without effect.

use super::{
    Report,
    load::{block_on, ended, submit},
};
use crate::{Cluster, Gate, eventually, metrics, shell};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use wire::v1::{self, scheduler_client::SchedulerClient};

/// A task that nobody has.
const UNKNOWN: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
/// An answer comes within this, or not at all.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn run(times: u32, report: &mut Report) {
    let cluster = Cluster::start(1);
    let gate = Gate::new(cluster.dir(), "gate");
    let line = format!("{}; echo the real one", gate.line());
    let spec = v1::TaskSpec { idempotency_key: "real".into(), ..shell(&line) };
    let ids = block_on(async { submit(&cluster.client(), vec![spec]).await });
    gate.begun(1);
    let refused = || {
        metrics(cluster.scheduler_address, "baton_reports_refused_total").iter().map(|(_, count)| count).sum::<f64>()
    };
    for round in 0..times {
        // The real w0 is connected: a second one, with another data directory, isn't let in.
        let answer = block_on(async { session(&cluster, "w0", &format!("other-{round}")).await.map(drop) });
        report.tried(1);
        report.refused(usize::from(answer.is_err()));
        let code = answer.err().map(|status| status.code());
        report.must(code == Some(Code::AlreadyExists), || format!("a second w0: {code:?}"));
        // One with a name of its own tells of what it doesn't hold.
        let before = refused();
        let lies = [(ids[0].as_str(), 1), (ids[0].as_str(), 2), (ids[0].as_str(), u32::MAX), (UNKNOWN, 1)];
        block_on(async { lie(&cluster, &format!("liar-{round}"), &lies).await });
        // Counters are shown a moment later.
        let counted =
            eventually("the lies to be counted", || Some(refused() - before).filter(|n| *n >= lies.len() as f64));
        report.tried(lies.len());
        report.refused(counted as usize);
    }
    gate.open();
    let task = ended(&cluster, &ids).remove(0);
    report.must(task.state == "completed" && task.attempts.len() == 1, || format!("{task:#?}"));
    report.must(task.exit_code == Some(0), || "a liar was believed".into());
}

/// A session that has said hello and was welcomed.
struct Session {
    to: mpsc::Sender<v1::WorkerResponse>,
    orders: Streaming<v1::TaskAssignment>,
}

async fn session(cluster: &Cluster, id: &str, incarnation: &str) -> Result<Session, Status> {
    let url = format!("http://{}", cluster.scheduler_address);
    let mut scheduler = SchedulerClient::connect(url).await.unwrap_or_else(|error| panic!("no scheduler: {error}"));
    let (to, from) = mpsc::channel(16);
    let hello = v1::WorkerHello {
        worker_id: id.into(),
        incarnation: incarnation.into(),
        protocol_min: 1,
        protocol_max: 1,
        executors: vec!["shell".into()],
        slots: 1,
        kill_level: "best-effort".into(),
        ..Default::default()
    };
    say(&to, v1::worker_response::Message::Hello(hello)).await;
    let mut orders = scheduler.register_worker(ReceiverStream::new(from)).await?.into_inner();
    heard(&mut orders).await?;
    Ok(Session { to, orders })
}

async fn say(to: &mpsc::Sender<v1::WorkerResponse>, message: v1::worker_response::Message) {
    // A stream that was ended meanwhile takes nothing: what follows shows it.
    let _ = to.send(v1::WorkerResponse { message: Some(message) }).await;
}

async fn heard(orders: &mut Streaming<v1::TaskAssignment>) -> Result<v1::TaskAssignment, Status> {
    let heard = tokio::time::timeout(ANSWERED_WITHIN, orders.message()).await;
    heard.map_err(|_| Status::deadline_exceeded("nothing is heard"))??.ok_or_else(|| Status::cancelled("ended"))
}

/// Reports that these attempts have ended well, and waits until that is settled.
async fn lie(cluster: &Cluster, id: &str, attempts: &[(&str, u32)]) {
    let mut session = session(cluster, id, id).await.unwrap_or_else(|status| panic!("{id}: {status:?}"));
    let exited = || v1::Exited { how: Some(v1::exited::How::Code(7)), at_ms: 1, tree_gone: true, ..Default::default() };
    let report = |(number, (task, attempt)): (u64, &(&str, u32))| v1::Report {
        number,
        task_id: (*task).into(),
        attempt: *attempt,
        report: Some(v1::report::Report::Exited(exited())),
    };
    let reports: Vec<v1::Report> = (1..).zip(attempts).map(report).collect();
    let last = reports.len() as u64;
    say(&session.to, v1::worker_response::Message::Update(v1::WorkerUpdate { reports, offer: None })).await;
    // They are forgotten once they are settled, believed or not.
    while let Ok(assignment) = heard(&mut session.orders).await {
        let forgets =
            |order: &v1::Order| matches!(&order.order, Some(v1::order::Order::Forget(forget)) if forget.number >= last);
        if assignment.orders.iter().any(forgets) {
            return;
        }
    }
}
