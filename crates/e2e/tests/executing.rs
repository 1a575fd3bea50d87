//! What a worker runs besides command lines, and which worker gets what.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, argv, eventually, finished, handler, output_of, shell, story};
use std::{fs, time::Duration};
use tokio_stream::StreamExt;
use wire::v1::{self, task_event::Event, worker_client::WorkerClient};

fn with_worker_args(args: &[&str]) -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.worker_args = args.iter().map(|a| (*a).to_owned()).collect();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    cluster
}

#[tokio::test]
async fn a_handler_reads_its_payload_and_answers_with_its_stdout() {
    let cluster =
        with_worker_args(&["--handler", "upper=tr a-z A-Z; echo noted >&2", "--handler", "broken=cat; exit 9"]);
    let mut gateway = cluster.client();
    let id = gateway.submit_task(handler("upper", b"hello \0 there")).await.unwrap().into_inner().task_id;
    let task = finished(&gateway, &id).await;
    assert_eq!((task.state.as_str(), &task.result[..]), ("completed", &b"HELLO \0 THERE"[..]), "{task:#?}");
    assert_eq!(output_of(&gateway, &id, v1::OutputStream::Stderr).await, b"noted\n");
    let id = gateway.submit_task(handler("broken", b"x")).await.unwrap().into_inner().task_id;
    let task = finished(&gateway, &id).await;
    assert_eq!((task.state.as_str(), task.exit_code), ("failed", Some(9)), "{task:#?}");
}

#[tokio::test]
async fn the_demo_handler_answers_nothing_that_a_worker_knows() {
    let mut cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let id = gateway.submit_task(handler("nobody-knows", b"echoed")).await.unwrap().into_inner().task_id;
    let task = finished(&gateway, &id).await;
    assert_eq!((task.state.as_str(), &task.result[..]), ("completed", &b"echoed"[..]), "{task:#?}");
    assert!(task.message.contains("completed") || task.message.contains("demo"), "{task:#?}");

    cluster.worker_args = vec!["--handler".into(), "known=cat >/dev/null; echo done".into()];
    cluster.start_worker(1);
    eventually_connected(&cluster, "w1").await;
    cluster.workers[1].take();
    let id = gateway.submit_task(handler("known", b"work")).await.unwrap().into_inner().task_id;
    cluster.start_worker(1);
    let task = finished(&gateway, &id).await;
    assert_eq!((task.worker_id.as_str(), &task.result[..]), ("w1", &b"done\n"[..]), "not echoed by w0: {task:#?}");
}

async fn eventually_connected(cluster: &Cluster, worker: &str) {
    let mut gateway = cluster.client();
    let connected = async {
        loop {
            let workers = gateway.list_workers(v1::ListWorkersRequest {}).await.unwrap().into_inner().workers;
            if workers.iter().any(|w| w.worker_id == worker && w.status == "connected") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(e2e::PATIENCE, connected).await.is_ok(), "{worker} never connects");
}

#[tokio::test]
async fn execute_task_runs_directly_on_a_worker() {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    let mut process = e2e::Process::start("w0", cluster.dir(), &mut cluster.worker_command(0));
    let address = process.listening();
    cluster.workers.push(Some(process));
    let mut worker = WorkerClient::connect(format!("http://{address}")).await.unwrap();
    let told = |spec| {
        let mut worker = worker.clone();
        async move {
            let stream = worker.execute_task(spec).await.unwrap().into_inner();
            stream.map(|update| update.unwrap()).collect::<Vec<_>>().await
        }
    };
    let updates = told(shell("echo over here")).await;
    let last = updates.last().unwrap();
    assert_eq!(last.status(), v1::TaskStatus::Completed, "{updates:?}");
    assert!(last.task_id.starts_with("direct-"), "{updates:?}");
    assert!(updates.iter().any(|u| u.status() == v1::TaskStatus::Running), "{updates:?}");
    let updates = told(shell("exit 4")).await;
    assert_eq!(updates.last().unwrap().status(), v1::TaskStatus::Failed, "{updates:?}");
    let wrong = worker.execute_task(v1::TaskSpec::default()).await.unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument, "{wrong:?}");
}

#[tokio::test]
async fn tasks_go_where_they_ask_to_and_the_urgent_ones_first() {
    let mut cluster = Cluster::start(1);
    cluster.worker_args = vec!["--label".into(), "disk=ssd".into()];
    cluster.start_worker(1);
    let mut gateway = cluster.client();
    let labelled = v1::TaskSpec { labels: [("disk".to_owned(), "ssd".to_owned())].into(), ..shell("true") };
    let pinned = v1::TaskSpec { worker: "w0".into(), ..shell("true") };
    for (spec, worker) in [(labelled, "w1"), (pinned, "w0")] {
        for _ in 0..5 {
            let id = gateway.submit_task(spec.clone()).await.unwrap().into_inner().task_id;
            assert_eq!(finished(&gateway, &id).await.worker_id, worker);
        }
    }
    // Both slots of w0 are taken; what waits for them starts by priority.
    let gate = cluster.dir().join("gate");
    // A queue of their own: nothing is known yet of how long they run, so none is sent ahead of a free slot.
    let on_w0 = |line: String| v1::TaskSpec { worker: "w0".into(), queue: "calm".into(), ..shell(&line) };
    let hold = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(gateway.submit_task(on_w0(hold.clone())).await.unwrap().into_inner().task_id);
    }
    for id in &ids {
        running(&cluster, id).await;
    }
    let order = cluster.dir().join("order");
    for priority in [0, -5, 7, 0] {
        // Long enough that one ends well after the next has begun.
        let line = format!("echo {priority} >> {}; sleep 0.3", order.display());
        let spec = v1::TaskSpec { priority, ..on_w0(line) };
        ids.push(gateway.submit_task(spec).await.unwrap().into_inner().task_id);
    }
    fs::write(&gate, "").unwrap();
    for id in &ids {
        finished(&gateway, id).await;
    }
    let order = fs::read_to_string(order).unwrap();
    let order: Vec<&str> = order.lines().collect();
    assert!(order[..2].contains(&"7") && order[3] == "-5", "{order:?}");
}

async fn running(cluster: &Cluster, id: &str) {
    let request = v1::WatchTaskRequest { task_id: id.into(), ..Default::default() };
    let mut story = cluster.client().watch_task(request).await.unwrap().into_inner();
    while let Some(event) = story.message().await.unwrap() {
        if matches!(&event.event, Some(Event::State(state)) if state.state == "running") {
            return;
        }
    }
    panic!("{id} never ran");
}

#[tokio::test]
async fn a_task_has_a_directory_of_its_own_and_a_clean_environment() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let mut outputs = Vec::new();
    for spec in [shell("touch mine; pwd; ls"), shell("pwd; ls; env"), argv("/bin/pwd", &["-P"])] {
        let id = gateway.submit_task(spec).await.unwrap().into_inner().task_id;
        finished(&gateway, &id).await;
        outputs.push(String::from_utf8(output_of(&gateway, &id, v1::OutputStream::Stdout).await).unwrap());
    }
    let dirs: Vec<&str> = outputs.iter().filter_map(|o| o.lines().next()).collect();
    assert!(
        dirs[0] != dirs[1] && dirs[1] != dirs[2] && dirs[0].starts_with(cluster.dir().to_str().unwrap()),
        "{dirs:?}"
    );
    assert_eq!(outputs[0].lines().nth(1), Some("mine"));
    assert!(!outputs[1].contains("mine") && outputs[1].contains("BATON_TASK_ID="), "{}", outputs[1]);
    assert!(!outputs[1].contains("CARGO"), "nothing of the worker's environment: {}", outputs[1]);
    for dir in dirs {
        eventually("the directory to be removed", || (!std::path::Path::new(dir).exists()).then_some(()));
    }
}

#[tokio::test]
async fn output_is_followed_live_and_read_from_any_offset() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let gate = cluster.dir().join("gate");
    let spec = shell(&format!("printf one; until [ -e {} ]; do sleep 0.02; done; printf two", gate.display()));
    let id = gateway.submit_task(spec).await.unwrap().into_inner().task_id;
    running(&cluster, &id).await;
    let read = |offset, follow| v1::ReadOutputRequest { task_id: id.clone(), stream: 1, offset, follow, attempt: 0 };
    let mut live = gateway.read_output(read(0, true)).await.unwrap().into_inner();
    assert_eq!(live.message().await.unwrap().unwrap().data, &b"one"[..], "before the task has ended");
    fs::write(&gate, "").unwrap();
    assert_eq!(live.message().await.unwrap().unwrap().data, &b"two"[..]);
    assert!(live.message().await.unwrap().is_none());
    finished(&gateway, &id).await;
    let tail = gateway.read_output(read(2, false)).await.unwrap().into_inner();
    let tail: Vec<u8> = tail.map(|chunk| chunk.unwrap().data).collect::<Vec<_>>().await.concat();
    assert_eq!(tail, b"etwo");
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_and_its_story_tells() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let spec = v1::TaskSpec { max_retries: 1, ..shell("echo try $BATON_ATTEMPT; exit $((2 - BATON_ATTEMPT))") };
    let id = gateway.submit_task(spec).await.unwrap().into_inner().task_id;
    let states: Vec<String> = story(&gateway, &id, false)
        .await
        .into_iter()
        .filter_map(|e| match e.event {
            Some(Event::State(state)) => Some(state.state),
            Some(Event::Progress(_) | Event::Output(_)) | None => None,
        })
        .collect();
    assert!(states.iter().any(|s| s == "backing_off") && states.last().is_some_and(|s| s == "completed"), "{states:?}");
    assert_eq!(finished(&gateway, &id).await.attempts.len(), 2);
}
