//! What holds for containers alone.

use crate::executor::{Executor, container, docker};
use e2e::{Cluster, Engine, IMAGE, alive_under, eventually, finished, output_of, said, story};
use rustix::process::{Pid, Signal, kill_process};
use wire::v1::{self, OutputStream};

async fn submitted(cluster: &Cluster, spec: v1::TaskSpec) -> String {
    cluster.client().submit_task(spec).await.unwrap().into_inner().task_id
}

fn existing(operation: &str, name: &str) -> v1::TaskSpec {
    docker(v1::DockerRun { operation: operation.into(), container_id: name.into(), ..Default::default() })
}

#[tokio::test]
async fn containers_are_made_as_asked_and_existing_ones_are_kept() {
    let Some(engine) = Engine::start() else { return };
    let executor = Executor::Docker(engine);
    let cluster = executor.cluster();
    let Executor::Docker(engine) = &executor else { panic!("it is none") };
    is_made_as_asked(&cluster, engine).await;
    verbs_on_existing_ones(&cluster, engine).await;
    images_that_cannot_be_had(&cluster).await;
    let (_, found, _) = said(&cluster, &["doctor", "--docker-host", &engine.host()]);
    let line = found.lines().find(|line| line.starts_with("✓ docker")).unwrap_or_default();
    assert!(line.contains(", API 1.") && line.ends_with(&engine.host()), "{found}");
    let args = ["run", "--docker", IMAGE, "--env", "A=b c", "--memory", "64MiB", "--", "sh", "-c", "echo $A; exit 3"];
    assert_eq!(said(&cluster, &args).0, Some(3));
    assert_eq!(said(&cluster, &args).1, "b c\n");
    engine.docker(&["rm", "--force", "box", "long"]);
    engine.empty("all of that");
}

async fn is_made_as_asked(cluster: &Cluster, engine: &Engine) {
    let run = v1::DockerRun {
        operation: "run".into(),
        image: IMAGE.into(),
        command: ["sh", "-c", "echo $PWD $K ${TRACEPARENT:+traced}; sleep 1000"].map(str::to_owned).to_vec(),
        env: [("K".to_owned(), "v".to_owned()), ("BATON_ATTEMPT".to_owned(), "9".to_owned())].into(),
        memory_bytes: 64 << 20,
        cpu_millis: 500,
        pids: 50,
        working_dir: "/bin".into(),
        ..Default::default()
    };
    let id = submitted(cluster, docker(run)).await;
    let name = eventually("a running container", || {
        engine.docker(&["ps", "--format", "{{.Names}}"]).lines().next().map(str::to_owned)
    });
    let shown = |form: &str| engine.docker(&["inspect", "--format", form, &name]);
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.Privileged}}";
    assert_eq!(shown(limits), "67108864 500000000 50 false");
    let labels = r#"{{index .Config.Labels "baton.task"}} {{index .Config.Labels "baton.attempt"}} {{index .Config.Labels "baton.worker"}}"#;
    assert_eq!(shown(labels), format!("{id} 1 w0"));
    assert!(shown("{{.Config.Env}}").contains("BATON_ATTEMPT=1"), "nobody can override it");
    cluster.client().cancel_task(v1::CancelTaskRequest { task_id: id.clone(), wait: true }).await.unwrap();
    assert_eq!(output_of(&cluster.client(), &id, OutputStream::Stdout).await, b"/bin v traced\n");
    engine.empty("a cancel");
}

async fn verbs_on_existing_ones(cluster: &Cluster, engine: &Engine) {
    engine.docker(&["create", "--name", "box", IMAGE, "sh", "-c", "echo from the box; exit 5"]);
    engine.docker(&["run", "--detach", "--init", "--name", "long", IMAGE, "sleep", "1000"]);
    let gateway = cluster.client();
    let table = [
        ("start", "box", "failed", "exit code 5", "from the box\n"),
        ("logs", "box", "completed", "", "from the box\n"),
        ("stop", "long", "completed", "", ""),
        ("stop", "nowhere", "failed", "not started: No such container: nowhere", ""),
        ("logs", "nowhere", "failed", "No such container: nowhere", ""),
        ("start", "nowhere", "failed", "No such container: nowhere", ""),
    ];
    for (operation, name, state, words, output) in table {
        let id = submitted(cluster, existing(operation, name)).await;
        let task = finished(&gateway, &id).await;
        assert_eq!(task.state, state, "{operation} {name}: {task:#?}");
        assert!(task.message.contains(words), "{operation} {name}: {}", task.message);
        assert_eq!(output_of(&gateway, &id, OutputStream::Stdout).await, output.as_bytes(), "{operation} {name}");
    }
    assert_eq!(engine.docker(&["inspect", "--format", "{{.State.Running}}", "long"]), "false");
    // Cancelled, a started one is stopped and kept.
    let id = submitted(cluster, existing("start", "long")).await;
    let runs = || engine.docker(&["inspect", "--format", "{{.State.Running}}", "long"]) == "true";
    eventually("the container's start", || runs().then_some(()));
    gateway.clone().cancel_task(v1::CancelTaskRequest { task_id: id, wait: true }).await.unwrap();
    assert!(!runs(), "it outlived its task");
}

async fn images_that_cannot_be_had(cluster: &Cluster) {
    // A registry that nobody serves.
    let run = v1::DockerRun { operation: "run".into(), image: "127.0.0.1:1/none:1".into(), ..Default::default() };
    let id = submitted(cluster, docker(run)).await;
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((&*task.state, task.exit_code), ("failed", Some(-1)), "{task:#?}");
    assert!(task.message.starts_with("not started: cannot pull image 127.0.0.1:1/none:1: "), "{}", task.message);
    assert!(task.message.contains("connection refused"), "{}", task.message);
    let pulling = |event: &v1::TaskEvent| match &event.event {
        Some(v1::task_event::Event::Progress(progress)) => progress.message == "pulling image 127.0.0.1:1/none:1",
        Some(v1::task_event::Event::State(_) | v1::task_event::Event::Output(_)) | None => false,
    };
    assert!(story(&cluster.client(), &id, false).await.iter().any(pulling), "nobody said so");
}

#[tokio::test]
async fn what_is_lost_leaves_no_container_and_runs_again_once_the_engine_is_back() {
    let Some(engine) = Engine::start() else { return };
    let mut executor = Executor::Docker(engine);
    let mut cluster = executor.cluster();
    let Executor::Docker(engine) = &mut executor else { panic!("it is none") };
    // Everything of the worker is killed, tenders and all: nobody is left who knows of the container, but its labels.
    let on_lost = v1::OnLost::Fail.into();
    let id = submitted(&cluster, v1::TaskSpec { on_lost, ..container(&["sleep", "1000"]) }).await;
    eventually("a container", || (!engine.containers().is_empty()).then_some(()));
    cluster.kill_worker(0);
    kill_all_under(&cluster);
    assert_eq!(engine.containers().len(), 1, "it goes on");
    cluster.start_worker(0);
    let task = finished(&cluster.client(), &id).await;
    assert_eq!((&*task.state, &*task.message), ("failed", "worker lost"), "{task:#?}");
    engine.empty("the worker's return");
    // The engine goes away under a container: what became of it nobody knows, and no other is started meanwhile.
    let script = "test $BATON_ATTEMPT = 1 && sleep 1000; echo again";
    let id = submitted(&cluster, container(&["sh", "-c", script])).await;
    eventually("a container", || (!engine.containers().is_empty()).then_some(()));
    engine.kill();
    let offers = || e2e::json(&cluster, &["workers"])[0]["executors"].to_string();
    eventually("a worker that offers no containers", || (!offers().contains("docker")).then_some(()));
    engine.serve().unwrap();
    let task = finished(&cluster.client(), &id).await;
    let outcomes: Vec<_> = task.attempts.iter().map(|attempt| &*attempt.outcome).collect();
    assert_eq!((&*task.state, outcomes), ("completed", vec!["worker lost", "exit code 0"]), "{task:#?}");
    assert_eq!(output_of(&cluster.client(), &id, OutputStream::Stdout).await, b"again\n");
    engine.empty("the engine's return");
}

/// `kill -9` of the keeper and the tenders.
fn kill_all_under(cluster: &Cluster) {
    let dir = cluster.dir().join("w0");
    eventually("the end of the keeper and its tasks", || {
        let left = alive_under(&dir);
        for pid in left.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        left.is_empty().then_some(())
    });
}
