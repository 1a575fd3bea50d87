//! Workers without processes: sessions that answer each start with its end. Many of them cost so little that what is
//! measured is the scheduler.

use e2e::Cluster;
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinSet, time::interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use wire::v1::{self, order::Order, scheduler_client::SchedulerClient, worker_response::Message};

/// A worker that said nothing for longer would count as lost before long.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages on their way to the scheduler; when they are as many, the worker waits.
const QUEUE: usize = 16;

/// Workers `w0`, `w1`, … They go when this is dropped.
pub struct Workers(JoinSet<()>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}

impl Workers {
    /// Starts so many, with `slots` each; all are connected then.
    ///
    /// # Panics
    /// If one isn't welcome.
    pub async fn start(cluster: &Cluster, workers: usize, slots: u32) -> Self {
        let mut set = JoinSet::new();
        for index in 0..workers {
            let session = Session::open(cluster, &format!("w{index}"), slots).await;
            set.spawn(session.work());
        }
        Self(set)
    }
}

struct Session {
    to: mpsc::Sender<v1::WorkerResponse>,
    orders: Streaming<v1::TaskAssignment>,
    /// Starts that this session takes in all.
    starts: u64,
    /// The last report's number.
    reported: u64,
}

impl Session {
    async fn open(cluster: &Cluster, id: &str, slots: u32) -> Self {
        let url = format!("http://{}", cluster.scheduler_address);
        let mut scheduler = SchedulerClient::connect(url).await.unwrap_or_else(|e| panic!("no scheduler: {e}"));
        let (to, from) = mpsc::channel(QUEUE);
        let hello = v1::WorkerHello {
            worker_id: id.into(),
            incarnation: id.into(),
            protocol_min: 1,
            protocol_max: 1,
            executors: vec!["handler".into()],
            handlers: vec!["noop".into()],
            slots,
            kill_level: "best-effort".into(),
            ..Default::default()
        };
        say(&to, Message::Hello(hello)).await;
        let orders = scheduler.register_worker(ReceiverStream::new(from)).await;
        let mut orders = orders.unwrap_or_else(|s| panic!("{id}: {s}")).into_inner();
        // The first one is the welcome.
        orders.message().await.unwrap_or_else(|s| panic!("{id}: {s}"));
        let session = Self { to, orders, starts: slots.into(), reported: 0 };
        session.update(Vec::new()).await;
        session
    }

    /// Until the scheduler ends the session.
    async fn work(mut self) {
        let mut heartbeat = interval(HEARTBEAT);
        loop {
            tokio::select! {
                heard = self.orders.message() => match heard {
                    Ok(Some(assignment)) => self.obey(assignment).await,
                    Ok(None) | Err(_) => return,
                },
                _ = heartbeat.tick() => self.update(Vec::new()).await,
            }
        }
    }

    /// What is started has ended; the slots are free again.
    async fn obey(&mut self, assignment: v1::TaskAssignment) {
        let starts = assignment.orders.into_iter().filter_map(|order| match order.order {
            Some(Order::Start(start)) => Some(start),
            _ => None,
        });
        let mut reports = Vec::new();
        for v1::Start { task_id, attempt, .. } in starts {
            let exited = v1::Exited { how: Some(v1::exited::How::Code(0)), tree_gone: true, ..Default::default() };
            for what in [v1::report::Report::Started(v1::Started::default()), v1::report::Report::Exited(exited)] {
                self.reported += 1;
                let number = self.reported;
                reports.push(v1::Report { number, task_id: task_id.clone(), attempt, report: Some(what) });
            }
            self.starts += 1;
        }
        if !reports.is_empty() {
            self.update(reports).await;
        }
    }

    async fn update(&self, reports: Vec<v1::Report>) {
        let offer = Some(v1::Offer { starts: self.starts, prefetch: 0 });
        say(&self.to, Message::Update(v1::WorkerUpdate { reports, offer })).await;
    }
}

async fn say(to: &mpsc::Sender<v1::WorkerResponse>, message: Message) {
    // A stream that has ended takes nothing; what reads it sees that.
    let _ = to.send(v1::WorkerResponse { message: Some(message) }).await;
}
