//! A scheduler on a real store, its door, and a worker that does what the test says.

use crate::check::Over;
use crate::core::Core;
use crate::disk::Disk;
use crate::gap::Receipts;
use crate::grpc::Door;
use crate::mailbox::{Handle, Message, OrdersFrom, mailbox};
use crate::retention::Retention;
use crate::story;
use crate::tokens::Tokens;
use crate::view::Views;
use domain::*;
use service::{Readiness, Stopping};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{sync::Arc, time::Duration};
use store::{Store as _, sqlite::SqliteStore, writer::Writer};
use tokio::task::JoinHandle;
use wire::v1::{self, scheduler_server::Scheduler as _};

pub struct Rig {
    pub door: Door,
    stopping: Stopping,
    core: JoinHandle<()>,
    next: AtomicU64,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// A scheduler that keeps what has ended so long.
    pub fn start(retention: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        let reader = store.reader();
        let (mailbox, messages) = mailbox();
        let (readiness, stopping) = (Readiness::default(), Stopping::new());
        let (disk, receipts) = (Disk::new(dir.path(), 0, store.ballast(), readiness.clone()), Receipts::default());
        let (views, view) = Views::new();
        let (story, telling) =
            story::start(dir.path(), Arc::clone(&reader), Arc::clone(&disk), mailbox.clone()).unwrap();
        tokio::spawn(telling);
        let core = Core {
            writer: Writer::start(Box::new(store)).unwrap(),
            messages,
            story: story.clone(),
            views,
            lost_after: Duration::from_secs(60),
            retention: Retention::new(retention, Arc::default(), Over::already()),
            receipts: receipts.clone(),
            accepted: None,
            readiness: readiness.clone(),
            stopping: stopping.clone(),
            tracer: Default::default(),
        };
        let core = tokio::spawn(core.run());
        let (stop, tracer) = (stopping.clone(), Default::default());
        let tokens = Tokens::load(mailbox.clone(), Arc::clone(&reader), Default::default()).unwrap();
        let door = Door {
            mailbox,
            reader,
            story,
            views: view,
            disk,
            receipts,
            tokens,
            enrolling: None,
            readiness,
            stopping: stop,
            tracer,
        };
        Self { door, stopping, core, next: AtomicU64::new(1), _dir: dir }
    }

    pub async fn stop(self) {
        self.stopping.request();
        self.core.await.unwrap();
    }

    /// Before its loop has run: it never will.
    pub fn never_open(&self) {
        self.core.abort();
    }

    /// An id as the gateway draws it.
    pub fn id(&self) -> TaskId {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        TaskId::from_parts(1_700_000_000_000 + n, SHARD, 0, n)
    }

    /// Submits one task.
    pub async fn submit(&self, change: impl FnOnce(&mut v1::TaskSpec)) -> TaskId {
        let id = self.id();
        let shell = v1::ShellRun { command: "true".into(), ..Default::default() };
        let run = Some(v1::task_spec::Run::Shell(shell));
        let mut spec = v1::TaskSpec { name: "sample".into(), run, ..Default::default() };
        change(&mut spec);
        let tasks =
            vec![v1::SubmitEntry { task_id: id.to_string(), spec: Some(wire::pack(&spec)), ..Default::default() }];
        let request = v1::SubmitRequest { tasks, ..Default::default() };
        let accepted = self.door.submit(tonic::Request::new(request)).await.unwrap().into_inner();
        assert_eq!(wire::unpack_accepted(accepted.tasks[0].clone()).unwrap().task_id, id.to_string());
        id
    }

    pub async fn get(&self, id: TaskId) -> v1::Task {
        let request = v1::GetTaskRequest { task_id: id.to_string() };
        self.door.get_task(tonic::Request::new(request)).await.unwrap().into_inner()
    }

    /// Waits until a task is final, and says how it ended.
    pub async fn ended(&self, id: TaskId) -> v1::Task {
        use futures_util::StreamExt as _;
        let story = self.door.story.watch(id, StoryId::default(), false).await.unwrap();
        story.for_each(async |item| drop(item.unwrap())).await;
        self.get(id).await
    }

    pub async fn retry(&self, of: TaskId) -> Result<TaskId, tonic::Status> {
        let new = self.id();
        let request = v1::RetryRequest { new_task_id: new.to_string(), task_id: of.to_string(), repeated_call: false };
        self.door.retry(tonic::Request::new(request)).await?;
        Ok(new)
    }

    /// A worker with room for everything: each attempt exits at once with the code that `code` says.
    pub async fn worker(&self, code: impl Fn(&Start) -> i32 + Send + 'static) {
        let (session, orders) = self.door.mailbox.open().await.unwrap();
        let hello = Hello {
            worker: WorkerId::new("w1"),
            incarnation: Incarnation("dir@boot".into()),
            labels: Default::default(),
            shell: true,
            docker: false,
            handlers: Default::default(),
            demo: false,
            opened: 0,
            highest_epoch: Epoch(0),
            held: Vec::new(),
            slots: 4,
            address: String::new(),
            kill_level: Some(KillLevel::CgroupV2),
            version: "1".into(),
        };
        let mailbox = self.door.mailbox.clone();
        mailbox.put(Message::Hello { session, hello: Box::new(hello), remembered: None }).await.unwrap();
        tokio::spawn(work(mailbox, session, orders, code));
    }
}

async fn work(mailbox: Handle, session: engine::SessionId, mut orders: OrdersFrom, code: impl Fn(&Start) -> i32) {
    let mut number = 0;
    while let Some(Ok(message)) = orders.recv().await {
        let mut reports = Vec::new();
        let mut offer = None;
        for order in wire::worker::order_batch(message).unwrap().orders {
            match order {
                Order::Welcome(_) => offer = Some(Offer { starts: 1_000_000, prefetch: 0 }),
                Order::Start(start) => {
                    number += 1;
                    let exit = Exit::Code(code(&start));
                    let (totals, tail) = (Totals::default(), Tail::default());
                    let kind =
                        ReportKind::Exited { exit, totals, tail, result: Vec::new(), run_us: 1, tree_gone: true };
                    reports.push(Report { number, attempt: start.attempt, kind });
                }
                Order::Kill(_) | Order::Recall(_) | Order::Forget(_) | Order::Drain => {}
            }
        }
        if !reports.is_empty() || offer.is_some() {
            mailbox.put(Message::Update { session, reports, offer }).await.unwrap();
        }
    }
}
