//! One trace from the client into the task's processes, taken by a real OTLP collector (`rotel`, found beside
//! `BATON_TEST_PYTHON`).

use e2e::{
    Cluster, Process, accepted, eventually, finished, finished_with_output, http_get, json, metric, shell, skip,
};
use std::{collections::BTreeMap, fs, net::SocketAddr, net::TcpListener, path::Path, path::PathBuf, process::Command};
use wire::v1;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/// The collector's program.
fn rotel() -> Option<PathBuf> {
    let python = std::env::var("BATON_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let find = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let output = Command::new(python).args(["-c", find]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.exists().then_some(path)
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A collector that writes all it takes to a file.
fn collector(program: &Path, dir: &Path) -> (Process, SocketAddr) {
    let (grpc, http) = (free(), free());
    let line = format!(
        "exec {} start --otlp-grpc-endpoint {grpc} --otlp-http-endpoint {http} --exporter blackhole --debug-log traces \
         --debug-log-verbosity detailed --pid-file rotel.pid --log-file rotel.log > spans.txt 2>&1",
        program.display()
    );
    let process = Process::start("rotel", dir, Command::new("sh").args(["-c", &line]).current_dir(dir));
    eventually("the collector to listen", || std::net::TcpStream::connect(grpc).ok());
    (process, grpc)
}

/// A span, as the collector prints it: its fields and attributes, and the service that sent it.
type Printed = BTreeMap<String, String>;

fn spans(dir: &Path) -> Vec<Printed> {
    let text = fs::read_to_string(dir.join("spans.txt")).unwrap_or_default();
    let (mut all, mut service) = (Vec::<Printed>::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("-> service.name: Str(") {
            service = name.trim_end_matches(')').to_owned();
        } else if line.starts_with("Span #") {
            all.push([("service".to_owned(), service.clone())].into());
        } else if let (Some(span), Some((key, value))) = (all.last_mut(), line.split_once(':')) {
            span.insert(key.trim().trim_start_matches("-> ").to_owned(), value.trim().to_owned());
        }
    }
    // The last one may still be half written.
    all.retain(|span| span.contains_key("Status message") && span.contains_key("End time"));
    all
}

/// The span of this name in the client's trace.
fn find(dir: &Path, name: &str) -> Printed {
    let wanted = |span: &Printed| span.get("Name").is_some_and(|n| n == name) && span["Trace ID"] == TRACE;
    eventually(name, || spans(dir).into_iter().find(|span| wanted(span)))
}

fn traced(spec: v1::TaskSpec) -> tonic::Request<v1::TaskSpec> {
    let mut request = tonic::Request::new(spec);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CLIENT}-01").parse().unwrap());
    request.metadata_mut().insert("tracestate", STATE.parse().unwrap());
    request
}

#[tokio::test]
async fn one_trace_leads_from_the_client_into_the_tasks_processes_across_a_restart() {
    let Some(program) = rotel() else { return skip("no rotel") };
    let mut cluster = Cluster::empty();
    let (_collector, endpoint) = collector(&program, cluster.dir());
    cluster.environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT".into(), format!("http://{endpoint}")),
        ("BATON_LOG_FORMAT".into(), "json".into()),
    ];
    cluster.start_scheduler();
    cluster.start_gateway();
    let gateway = cluster.client();
    let child = "env -i sh -c 'true'; sh -c 'sh -c \"echo \\$TRACEPARENT \\$TRACESTATE\"'";
    let id = gateway.clone().submit_task(traced(shell(child))).await.unwrap().into_inner().task_id;
    // Accepted, and known to the collector; what comes is known only to the store.
    let dir = cluster.dir().to_owned();
    let accept = find(&dir, "task.accept");
    cluster.kill_scheduler();
    cluster.start_scheduler();
    cluster.start_worker(0);
    let (task, output) = finished_with_output(&gateway, &id).await;
    assert_eq!(task.status(), v1::TaskStatus::Completed, "{task:?}");

    let submit = find(&dir, "orchestrator.v1.Gateway/SubmitTask");
    let (wait, run) = (find(&dir, "task.wait"), find(&dir, "task.run"));
    assert_eq!((&*submit["Parent ID"], &*submit["service"]), (CLIENT, "baton-gateway"));
    for (span, service) in [(&accept, "baton-scheduler"), (&wait, "baton-scheduler"), (&run, "baton-worker")] {
        assert_eq!((&span["Parent ID"], &*span["service"]), (&submit["ID"], service), "{span:?}");
        assert_eq!(span["baton.task_id"], format!("Str({id})"));
    }
    let time = |span: &Printed, key: &str| span[key].parse::<u64>().unwrap() / 1_000_000;
    let attempt = &task.attempts[0];
    assert_eq!(time(&wait, "Start time"), u64::try_from(task.created_at_ms).unwrap(), "{wait:?}");
    assert_eq!(time(&wait, "End time"), u64::try_from(attempt.started_at_ms).unwrap(), "{wait:?}");
    // What the child of the task's child sees is the run's own span.
    assert_eq!(String::from_utf8(output).unwrap(), format!("00-{TRACE}-{}-01 {STATE}\n", run["ID"]));

    // The gateway's line about it names the same span.
    let log = cluster.gateway.as_ref().unwrap().log();
    let line = log.lines().find(|line| line.contains("Task submitted")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let said = [&line["trace_id"], &line["span_id"], &line["task_id"]].map(|v| v.as_str().unwrap());
    assert_eq!(said, [TRACE, &submit["ID"], &id]);
}

#[tokio::test]
async fn without_a_collector_every_command_has_a_place_and_a_caller_s_is_passed_on() {
    let cluster = Cluster::start(1);
    let gateway = cluster.client();
    let echo = || v1::TaskSpec { max_retries: 1, ..shell("echo $TRACEPARENT; exit $((2 - BATON_ATTEMPT))") };
    let run = async |request: tonic::Request<v1::TaskSpec>| {
        let id = gateway.clone().submit_task(request).await.unwrap().into_inner().task_id;
        let (task, output) = finished_with_output(&gateway, &id).await;
        assert_eq!(task.status(), v1::TaskStatus::Completed, "{task:?}");
        (id, String::from_utf8(output).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    };
    // A trace called like the task, a span an attempt, not recorded.
    let (id, places) = run(tonic::Request::new(echo())).await;
    let beginning = format!("00-{}-", id.replace('-', ""));
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places.iter().all(|place| place.starts_with(&beginning) && place.ends_with("-00")), "{places:?}");
    assert_ne!(places[0], places[1]);

    let client = format!("00-{TRACE}-{CLIENT}-01");
    assert_eq!(run(traced(echo())).await.1, [&*client, &*client]);
    let mut by_hand = shell("echo $TRACEPARENT $TRACESTATE");
    if let Some(v1::task_spec::Run::Shell(shell)) = &mut by_hand.run {
        shell.env.insert("TRACEPARENT".into(), "mine".into());
    }
    assert_eq!(run(traced(by_hand)).await.1, ["mine"]);
    // What isn't one is as none: it must not stop anybody.
    let mut odd = tonic::Request::new(shell("echo $TRACEPARENT"));
    odd.metadata_mut().insert("traceparent", "00-nonsense".parse().unwrap());
    assert!(run(odd).await.1[0].ends_with("-00"));
    // But a field of the spec is the caller's own.
    let field = v1::TaskSpec { traceparent: "00-nonsense".into(), ..shell("true") };
    let status = gateway.clone().submit_task(field).await.unwrap_err();
    assert!(status.code() == tonic::Code::InvalidArgument && status.message().starts_with("traceparent: "), "{status}");
}

#[tokio::test]
async fn what_a_task_submits_belongs_to_its_trace() {
    let cluster = Cluster::start(1);
    let gateway = cluster.client();
    let baton = e2e::binary("baton");
    let line = format!("{} --gateway-url http://{} submit -- true", baton.display(), cluster.gateway_address);
    let id = gateway.clone().submit_task(traced(shell(&line))).await.unwrap().into_inner().task_id;
    let (_, output) = finished_with_output(&gateway, &id).await;
    let inner = String::from_utf8(output).unwrap().trim().to_owned();
    let spec = finished(&gateway, &inner).await.spec.unwrap();
    assert_eq!((&*spec.traceparent, &*spec.tracestate), (&*format!("00-{TRACE}-{CLIENT}-01"), STATE));
    // From a shell that has no trace, none.
    let alone = accepted(&cluster, &["--", "true"]);
    assert_eq!(json(&cluster, &["get", &alone])["state"].as_str().map(str::is_empty), Some(false));
    assert_eq!(finished(&gateway, &alone).await.spec.unwrap().traceparent, "");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let mut cluster = Cluster::empty();
    cluster.environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".into(), format!("http://{}", free()))];
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let gateway = cluster.client();
    let tasks = vec![shell("true"); 300];
    let ids = gateway
        .clone()
        .submit_tasks(v1::SubmitTasksRequest::from(tasks))
        .await
        .unwrap()
        .into_inner()
        .accepted()
        .unwrap();
    let last = finished(&gateway, &ids[299].task_id).await;
    assert_eq!(last.status(), v1::TaskStatus::Completed);
    eventually("dropped spans to be counted", || {
        (metric(cluster.scheduler_address, "baton_trace_spans_dropped_total") > 0.0).then_some(())
    });
    assert_eq!(metric(cluster.scheduler_address, "baton_trace_spans_exported_total"), 0.0);
    assert_eq!(http_get(cluster.scheduler_address, "/readyz").0, 200);
    cluster.stop();
}

#[test]
fn an_endpoint_that_cannot_be_used_is_named() {
    let cluster = Cluster::empty();
    for url in ["https://collector:4317", "collector:4317", "http://"] {
        let mut command = cluster.scheduler_command();
        let output = command.args(["--otlp-endpoint", url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{url}: {said}");
        assert!(said.contains(&format!("--otlp-endpoint {url}: ")) && said.contains("hint: "), "{said}");
    }
}
