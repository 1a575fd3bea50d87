//! A worker with a good token and bad intentions: it speaks the protocol by itself and says what it likes. Whatever that
//! is, it is refused or stored harmlessly, and of other workers' tasks nothing changes.

use super::{admin, baton, create, file, guarded};
use e2e::{Cluster, Gate, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use wire::v1::{self, scheduler_client::SchedulerClient, worker_response::Message};

/// A task that nobody has.
const UNKNOWN: &str = "0199a0b2-6d1c-7000-8a4f-3c2b1d0e9f88";
/// The scheduler's limit is below it.
const LONG: usize = 1 << 20;

/// The cluster, its honest worker's tasks, and a token.
struct Stage {
    cluster: Cluster,
    /// One that has ended, and one that runs until the gate is opened.
    tasks: [String; 2],
    gate: Gate,
    store: String,
}

/// What must not change.
type State = BTreeMap<String, Value>;

impl Stage {
    fn set() -> Self {
        let mut cluster = guarded();
        let (_, honest) = create(&cluster, &["--scope", "worker", "--worker", "w0"]);
        cluster.worker_args = vec!["--token-file".into(), file(&cluster, &honest).display().to_string()];
        cluster.start_worker(0);
        let gate = Gate::new(cluster.dir(), "gate");
        let lines = ["echo done".to_owned(), format!("echo before; {}; echo the real one", gate.line())];
        let submit = |line: &String| {
            let output = baton(&cluster, Some(&admin(&cluster)), &["submit", "-q", "--", line]);
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let tasks = [submit(&lines[0]), submit(&lines[1])];
        gate.begun(1);
        let stage = Self { cluster, tasks, gate, store: String::new() };
        eventually("the first one's end", || (stage.task(0)["state"] == "completed").then_some(()));
        eventually("the second one's output", || (stage.output(1) == "before\n").then_some(()));
        let known = std::fs::read_to_string(stage.cluster.dir().join("w0/known.json")).unwrap();
        let known: Value = serde_json::from_str(&known).unwrap();
        Self { store: known["store_id"].as_str().unwrap().to_owned(), ..stage }
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [&["--output", "json"], args].concat();
        let output = baton(&self.cluster, Some(&admin(&self.cluster)), &args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {output:?}"))
    }

    fn task(&self, index: usize) -> Value {
        self.json(&["get", &self.tasks[index]])
    }

    fn output(&self, index: usize) -> String {
        let output = baton(&self.cluster, Some(&admin(&self.cluster)), &["logs", &self.tasks[index]]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The tasks with their output, the honest worker, and the store's state.
    fn state(&self) -> State {
        let mut state = State::new();
        for (index, id) in self.tasks.iter().enumerate() {
            state.insert(id.clone(), self.task(index));
            state.insert(format!("output of {id}"), self.output(index).into());
        }
        let workers = self.json(&["workers"]);
        let honest = workers.as_array().unwrap().iter().find(|worker| worker["worker_id"] == "w0").cloned();
        let mut honest = honest.unwrap();
        // It goes on saying that it is there.
        honest.as_object_mut().unwrap().retain(|key, _| !key.contains("heartbeat") && !key.contains("heard"));
        state.insert("w0".into(), honest);
        let counted = ["baton_tasks_finished_total", "baton_attempts_lost_total", "baton_store_behind"];
        for name in counted {
            let values = self.metric(name);
            state.insert(name.into(), values.into());
        }
        state
    }

    fn metric(&self, name: &str) -> f64 {
        // Asked as an administrator: the port has tokens.
        let auth = super::bearer(&admin(&self.cluster));
        let page = e2e::http::http(self.cluster.scheduler_address, "GET", "/metrics", &[("authorization", &auth)], "");
        assert_eq!(page.status, 200, "{}", page.head);
        let text = String::from_utf8_lossy(&page.body).into_owned();
        let lines = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
        lines.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    async fn client(&self) -> SchedulerClient<Channel> {
        let address = format!("http://{}", self.cluster.scheduler_address);
        SchedulerClient::connect(address).await.unwrap().max_encoding_message_size(64 << 20)
    }

    /// Says these messages on one session, and gives how it ends: with an error, or by us.
    async fn says(&self, token: &str, messages: Vec<Message>) -> Result<Vec<v1::Order>, Status> {
        let mut session = Session::open(self, token).await?;
        for message in messages {
            session.say(message).await;
        }
        session.settled().await
    }

    /// Delivers these frames as this worker.
    async fn delivers(&self, token: &str, worker: &str, frames: Vec<v1::OutputFrame>) -> Result<(), Status> {
        let message = v1::OutputFrames { worker_id: worker.into(), incarnation: worker.into(), frames };
        let request = with(token, tokio_stream::iter([message]));
        let mut acks = self.client().await.stream_output(request).await?.into_inner();
        acks.message().await.map(drop)
    }
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// A session that the test speaks itself.
struct Session {
    to: mpsc::Sender<v1::WorkerResponse>,
    orders: Streaming<v1::TaskAssignment>,
    heard: Vec<v1::Order>,
}

impl Session {
    async fn open(stage: &Stage, token: &str) -> Result<Self, Status> {
        let (to, from) = mpsc::channel(64);
        let orders = stage.client().await.register_worker(with(token, ReceiverStream::new(from))).await?;
        Ok(Self { to, orders: orders.into_inner(), heard: Vec::new() })
    }

    async fn say(&self, message: Message) {
        // A stream that has ended takes nothing: what follows shows it.
        let _ = self.to.send(v1::WorkerResponse { message: Some(message) }).await;
    }

    async fn next(&mut self) -> Result<Vec<v1::Order>, Status> {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.orders.message()).await;
        let message = next.map_err(|_| Status::deadline_exceeded("nothing is heard"))??;
        Ok(message.ok_or_else(|| Status::cancelled("ended"))?.orders)
    }

    /// An empty update is answered behind all that came before it.
    async fn settled(&mut self) -> Result<Vec<v1::Order>, Status> {
        let marker = v1::Report { number: 4_000_000, ..report(0, UNKNOWN, 1, code(0)) };
        self.say(update(vec![marker])).await;
        loop {
            let orders = self.next().await?;
            let done =
                |order: &v1::Order| matches!(&order.order, Some(v1::order::Order::Forget(f)) if f.number >= 4_000_000);
            let over = orders.iter().any(done);
            self.heard.extend(orders);
            if over {
                return Ok(std::mem::take(&mut self.heard));
            }
        }
    }

    /// So many attempts that are given to it.
    async fn given(&mut self, attempts: usize) -> Vec<(String, u32)> {
        let mut given = Vec::new();
        while given.len() < attempts {
            let orders = self.next().await.unwrap();
            given.extend(orders.into_iter().filter_map(|order| match order.order {
                Some(v1::order::Order::Start(start)) => Some((start.task_id, start.attempt)),
                Some(_) | None => None,
            }));
        }
        given
    }
}

/// A hello that is as it should be.
fn greeting(id: &str) -> v1::WorkerHello {
    v1::WorkerHello {
        worker_id: id.into(),
        incarnation: id.into(),
        protocol_min: 1,
        protocol_max: 1,
        handlers: vec![format!("of-{id}")],
        slots: 1,
        kill_level: "best-effort".into(),
        ..Default::default()
    }
}

fn hello(change: impl FnOnce(&mut v1::WorkerHello)) -> Message {
    let mut hello = greeting("evil");
    change(&mut hello);
    Message::Hello(hello)
}

fn code(code: i32) -> v1::report::Report {
    let how = Some(v1::exited::How::Code(code));
    v1::report::Report::Exited(v1::Exited { how, tree_gone: true, ..Default::default() })
}

fn report(number: u64, task: &str, attempt: u32, what: v1::report::Report) -> v1::Report {
    v1::Report { number, task_id: task.into(), attempt, report: Some(what) }
}

fn update(reports: Vec<v1::Report>) -> Message {
    Message::Update(v1::WorkerUpdate { reports, offer: None })
}

fn frame(task: &str, number: u64, offset: u64) -> v1::OutputFrame {
    let data = b"forged\n".to_vec().into();
    v1::OutputFrame { task_id: task.into(), attempt: 1, number, stream: 1, offset, data, ..Default::default() }
}

fn heartbeat(id: &str, slots: i32) -> Message {
    Message::Heartbeat(v1::WorkerHeartbeat { worker_id: id.into(), available_slots: slots, ..Default::default() })
}

/// What it may be on the wire, and is refused.
fn out_of_bounds(done: &str) -> Vec<(&'static str, Vec<Message>)> {
    let labels = |n: usize, text: &str| (0..n).map(|i| (format!("k{i}"), text.to_owned())).collect();
    let good = || hello(|_| ());
    let held = v1::HeldAttempt { task_id: UNKNOWN.into(), attempt: 1, phase: 2, totals: None };
    let progress = |percent| {
        let progressed = v1::Progressed { percent, message: "x".into(), at_ms: 0 };
        v1::report::Report::Progressed(progressed)
    };
    let large = v1::Exited { how: Some(v1::exited::How::Code(0)), result: vec![0; LONG + 1], ..Default::default() };
    vec![
        ("a label of a megabyte", vec![hello(|h| h.labels = labels(1, &"x".repeat(LONG)))]),
        ("thousands of labels", vec![hello(|h| h.labels = labels(5_000, "x"))]),
        ("a label that commands a terminal", vec![hello(|h| h.labels = labels(1, "\x1b[2J"))]),
        ("an address that commands a terminal", vec![hello(|h| h.address = "\x1b]0;x\x07".into())]),
        ("an address of a megabyte", vec![hello(|h| h.address = "x".repeat(LONG))]),
        ("a version of a megabyte", vec![hello(|h| h.version = "x".repeat(LONG))]),
        ("a hundred thousand handlers", vec![hello(|h| h.handlers = (0..100_000).map(|n| n.to_string()).collect())]),
        ("four billion slots", vec![hello(|h| h.slots = u32::MAX)]),
        ("more held than can be", vec![hello(|h| h.held = vec![held; 70_000])]),
        ("less than no slots", vec![heartbeat("evil", -1)]),
        ("nothing first", vec![update(Vec::new())]),
        ("two hellos", vec![good(), good()]),
        ("another dialect", vec![good(), heartbeat("evil", 1)]),
        ("a report without a number", vec![good(), update(vec![report(0, done, 1, code(0))])]),
        ("an attempt without a number", vec![good(), update(vec![report(1, done, 0, code(0))])]),
        ("an id like a path", vec![good(), update(vec![report(1, "../../etc/passwd", 1, code(0))])]),
        ("an id with a NUL", vec![good(), update(vec![report(1, &format!("{done}\0"), 1, code(0))])]),
        ("an id of a megabyte", vec![good(), update(vec![report(1, &"f".repeat(LONG), 1, code(0))])]),
        ("too many reports", vec![good(), update((1..20_000).map(|n| report(n, done, 1, code(0))).collect())]),
        ("too much progress", vec![good(), update(vec![report(1, done, 1, progress(101))])]),
        (
            "a result that is too large",
            vec![good(), update(vec![report(1, done, 1, v1::report::Report::Exited(large))])],
        ),
    ]
}

/// A stage, its runtime, a token of the worker `evil`, and what must stay as it is.
struct Play {
    stage: Stage,
    runtime: tokio::runtime::Runtime,
    token: String,
    before: State,
}

impl Play {
    fn begin() -> Self {
        let stage = Stage::set();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_, token) = create(&stage.cluster, &["--scope", "worker", "--worker", "evil"]);
        let before = stage.state();
        Self { stage, runtime, token, before }
    }

    fn says(&self, messages: Vec<Message>) -> Result<Vec<v1::Order>, Status> {
        self.runtime.block_on(self.stage.says(&self.token, messages))
    }

    fn delivers(&self, worker: &str, frames: Vec<v1::OutputFrame>) -> Option<Code> {
        let delivered = self.runtime.block_on(self.stage.delivers(&self.token, worker, frames));
        delivered.err().map(|status| status.code())
    }

    /// Nothing has changed, and the honest worker's task goes on to its end.
    fn end(self) {
        let Self { stage, runtime: _, token: _, before } = self;
        assert_eq!(stage.state(), before);
        stage.end();
    }
}

impl Stage {
    fn end(self) {
        self.gate.open();
        eventually("the honest worker's task", || (self.task(1)["state"] == "completed").then_some(()));
        assert_eq!(self.output(1), "before\nthe real one\n");
        assert_eq!(self.task(1)["attempts"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn it_is_nobody_else_and_nothing_out_of_bounds() {
    let play = Play::begin();
    for id in ["w0", "../../etc/passwd", ""] {
        let answer = play.says(vec![Message::Hello(greeting(id))]);
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied, "as {id:?}");
    }
    let (_, loose) = create(&play.stage.cluster, &["--scope", "worker"]);
    for id in ["../../etc/passwd", "a\0b", ".hidden", "\x1b[31m", &"x".repeat(LONG)] {
        let answer = play.runtime.block_on(play.stage.says(&loose, vec![Message::Hello(greeting(id))]));
        assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument, "{:?}", &id[..id.len().min(20)]);
    }
    let refused = || play.stage.metric("baton_worker_streams_refused_total");
    let (counted, rows) = (refused(), out_of_bounds(&play.stage.tasks[0]));
    let count = rows.len();
    for (what, messages) in rows {
        let answer = play.says(messages);
        assert_eq!(answer.err().map(|status| status.code()), Some(Code::InvalidArgument), "{what}");
    }
    assert!(refused() - counted >= count as f64, "each is counted");
    play.end();
}

#[test]
fn what_it_reports_of_others_attempts_does_not_count() {
    let play = Play::begin();
    let [done, runs] = &play.stage.tasks;
    let lies = [(done.as_str(), 1), (done, 2), (runs, 1), (runs, 2), (runs, u32::MAX), (UNKNOWN, 1)];
    let told = |what: &dyn Fn() -> v1::report::Report| {
        let reports = (1..).zip(lies).map(|(number, (task, attempt))| report(number, task, attempt, what())).collect();
        play.says(vec![hello(|_| ()), update(reports)]).unwrap();
    };
    told(&|| code(0));
    told(&|| v1::report::Report::Started(v1::Started { at_ms: i64::MAX }));
    told(&|| v1::report::Report::Refused(v1::Refused { reason: "mine".into() }));
    told(&|| v1::report::Report::Recalled(v1::Recalled {}));
    let held = |task: &String| v1::HeldAttempt { task_id: task.clone(), attempt: 1, phase: 2, totals: None };
    play.says(vec![hello(|h| h.held = vec![held(runs), held(done)])]).unwrap();
    // Counters are shown a moment later.
    let counted = || play.stage.metric("baton_reports_refused_total") >= 4.0 * lies.len() as f64;
    eventually("the lies to be counted", || counted().then_some(()));
    play.end();
}

#[test]
fn what_it_delivers_of_others_output_is_dropped() {
    let play = Play::begin();
    let [done, runs] = &play.stage.tasks;
    assert_eq!(play.delivers("w0", vec![frame(runs, 2, 7)]), Some(Code::PermissionDenied));
    for frames in [vec![frame(runs, 2, 7)], vec![frame(done, 2, 5)], vec![frame(UNKNOWN, 1, 0)]] {
        // Acknowledged, so that nobody says it for ever.
        assert_eq!(play.delivers("evil", frames), None);
    }
    let many = (1..20_000).map(|number| frame(runs, number, 0)).collect();
    for frames in [vec![frame(runs, 0, 0)], vec![frame("../x", 1, 0)], many] {
        assert_eq!(play.delivers("evil", frames), Some(Code::InvalidArgument));
    }
    play.end();
}

#[test]
fn commits_that_nobody_made_stop_nobody_else() {
    let play = Play::begin();
    let store = play.stage.store.clone();
    let future = |seal: Vec<u8>| {
        hello(|h| {
            (h.store_id, h.highest_commit, h.highest_epoch) = (store.clone(), u64::MAX, u64::MAX);
            (h.seal, h.sealed_epoch) = (seal, u64::MAX);
        })
    };
    for seal in [Vec::new(), vec![1; 16]] {
        let answer = play.says(vec![future(seal)]).unwrap_err();
        assert_eq!(answer.code(), Code::FailedPrecondition, "{answer:?}");
        assert!(answer.message().contains("nothing proves"), "{answer:?}");
    }
    play.end();
}

/// Takes so many tasks and says of them what is beyond all numbers.
async fn exaggerate(stage: &Stage, token: &str, tasks: usize) {
    let exited = |change: &dyn Fn(&mut v1::Exited)| {
        let mut exited = v1::Exited { how: Some(v1::exited::How::Code(0)), tree_gone: true, ..Default::default() };
        change(&mut exited);
        v1::report::Report::Exited(exited)
    };
    let offers = Message::Update(v1::WorkerUpdate {
        reports: Vec::new(),
        offer: Some(v1::Offer { starts: u64::MAX, prefetch: 0 }),
    });
    let mut session = Session::open(stage, token).await.unwrap();
    session.say(hello(|h| h.labels = [("k".to_owned(), "a\u{202e}b".to_owned())].into())).await;
    session.say(offers.clone()).await;
    let given = session.given(tasks).await;
    // A reason of a megabyte that commands a terminal, and a run of half a million years, twice.
    let reason = format!("\x1b[2J\x1b]0;owned\x07{}", "x".repeat(LONG));
    let failed = exited(&|e| {
        e.how = Some(v1::exited::How::HandlerError(reason.clone()));
        e.run_us = u64::MAX;
    });
    let strange = exited(&|e| {
        e.how = Some(v1::exited::How::TimedOutMs(i64::MAX));
        e.run_us = u64::MAX;
    });
    let (first, second) = (&given[0], &given[1]);
    session.say(update(vec![report(1, &first.0, first.1, failed), report(2, &second.0, second.1, strange)])).await;
    // An end that waits for output that never comes, said again and again.
    let endless = || {
        exited(&|e| {
            e.totals = Some(v1::OutputTotals { frames: u64::MAX, stdout_bytes: u64::MAX, stderr_bytes: u64::MAX });
        })
    };
    let again = (3..10_000).map(|number| report(number, &given[2].0, given[2].1, endless())).collect();
    session.say(update(again)).await;
    // A tail in which another's output travels.
    let smuggled = exited(&|e| e.tail = vec![frame(&stage.tasks[1], 2, 7)]);
    session.say(update(vec![report(20_000, &given[3].0, given[3].1, smuggled)])).await;
    loop {
        match session.next().await {
            Ok(_) => {}
            Err(status) => break assert_eq!(status.code(), Code::InvalidArgument, "{status:?}"),
        }
    }
}

#[test]
fn what_it_says_of_its_own_tasks_is_bounded_and_harms_nobody_else() {
    let stage = Stage::set();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, bound) = create(&stage.cluster, &["--scope", "worker", "--worker", "evil"]);
    let admin = admin(&stage.cluster);
    let submit = || {
        let spec = v1::TaskSpec { worker: "evil".into(), ..e2e::handler("of-evil", b"x") };
        let submitted = async { stage.cluster.client().submit_task(with(&admin, spec)).await };
        runtime.block_on(submitted).unwrap().into_inner().task_id
    };
    // Its handler is known once it has been there.
    runtime.block_on(stage.says(&bound, vec![hello(|_| ())])).unwrap();
    let ids = [submit(), submit(), submit(), submit()];
    let before = stage.output(1);
    runtime.block_on(exaggerate(&stage, &bound, ids.len()));
    // Out of order, and beyond all numbers.
    for wrong in [frame(&ids[3], 5, 0), frame(&ids[3], u64::MAX, u64::MAX - 10)] {
        let answer = runtime.block_on(stage.delivers(&bound, "evil", vec![wrong]));
        assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(stage.output(1), before);
    let own = eventually("the end that it reported", || {
        let task = stage.json(&["get", &ids[0]]);
        (task["state"] == "failed").then_some(task)
    });
    assert!(own["message"].as_str().is_some_and(|message| message.len() < 8 * 1024), "cut");
    // On a terminal nothing of it is raw.
    for args in [&["workers"][..], &["list"], &["get", &ids[0]], &["explain", &ids[3]]] {
        let output = baton(&stage.cluster, Some(&admin), args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let raw = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(output.status.success() && !text.contains(raw), "{args:?}: {text:?}");
    }
    stage.end();
}
