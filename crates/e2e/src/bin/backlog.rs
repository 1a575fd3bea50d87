//! `make bench-backlog`: what a long backlog costs. An array and distinct tasks are submitted through the CLI, with nobody to
//! run them; then memory, restart after `kill -9`, and every verb on tasks anywhere in them. Prints one JSON line a step.
//!
//! `backlog [MEMBERS [TASKS]]`, both in millions.

use e2e::{Cluster, Gateway, directory_mib, memory_mib, ms, percentile};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};
use wire::v1;

/// Tasks looked at by each verb.
const SAMPLES: usize = 200;
/// Pages read of each list.
const PAGES: usize = 50;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut millions = || args.next().and_then(|a| a.parse::<usize>().ok()).unwrap_or(1) * 1_000_000;
    let (members, tasks) = (millions(), millions());
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(bench(members, tasks)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(members: usize, tasks: usize) -> ExitCode {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.start_gateway();
    let array = submit_array(&cluster, members);
    let ids = submit_distinct(&cluster, tasks);
    restart(&mut cluster).await;
    let gateway = cluster.client();
    verbs(&gateway, "tasks", &sample(&ids)).await;
    let index = |n: usize| format!("{array}.{}", 1 + n * (members / SAMPLES).max(1));
    verbs(&gateway, "members", &(0..SAMPLES).map(index).collect::<Vec<_>>()).await;
    report_memory(&cluster, "after the verbs");
    lists(&gateway, &array).await;
    report_memory(&cluster, "after the lists");
    first_in_line(&mut cluster).await;
    report_memory(&cluster, "at the end");
    ExitCode::SUCCESS
}

fn report_memory(cluster: &Cluster, when: &str) {
    let Some(scheduler) = &cluster.scheduler else { return };
    println!(
        "{{\"scheduler\":\"{when}\",\"rss_mib\":{},\"peak_mib\":{},\"data_mib\":{}}}",
        memory_mib(scheduler, "VmRSS"),
        memory_mib(scheduler, "VmHWM"),
        directory_mib(&cluster.data_dir()),
    );
}

fn submit_array(cluster: &Cluster, members: usize) -> String {
    let began = Instant::now();
    let range = format!("1-{members}");
    let output = cluster.baton(&["submit", "--array", &range, "--", "true"]).output();
    let output = output.unwrap_or_else(|e| panic!("baton submit: {e}"));
    let took = began.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{{\"submit\":\"array\",\"members\":{members},\"seconds\":{:.3}}}", took.as_secs_f64());
    report_memory(cluster, "after the array");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn submit_distinct(cluster: &Cluster, tasks: usize) -> Vec<String> {
    let (specs, ids) = (cluster.dir().join("specs.ndjson"), cluster.dir().join("ids"));
    write_specs(&specs, tasks).unwrap_or_else(|e| panic!("specs: {e}"));
    let out = File::create(&ids).unwrap_or_else(|e| panic!("ids: {e}"));
    let began = Instant::now();
    let mut baton = cluster.baton(&["submit", "--from-json", &specs.to_string_lossy()]);
    let status = baton.stdout(out).stderr(Stdio::inherit()).status().unwrap_or_else(|e| panic!("baton submit: {e}"));
    let took = began.elapsed();
    assert!(status.success());
    println!("{{\"submit\":\"distinct\",\"tasks\":{tasks},\"seconds\":{:.3}}}", took.as_secs_f64());
    report_memory(cluster, "after the distinct tasks");
    let file = File::open(&ids).unwrap_or_else(|e| panic!("ids: {e}"));
    settle(&file).unwrap_or_else(|e| panic!("ids: {e}"));
    let ids: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
    assert_eq!(ids.len(), tasks, "one id a task");
    ids
}

/// Each task differs from all others.
fn write_specs(path: &Path, tasks: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for n in 0..tasks {
        let (name, queue) = (n % 1_000, n % 10);
        writeln!(file, r#"{{"name":"job-{name}","queue":"q{queue}","args":["echo","{n}"]}}"#)?;
    }
    file.flush()?;
    settle(file.get_ref())
}

/// What this bench itself wrote must not be on its way to the disk while others are timed.
fn settle(file: &File) -> std::io::Result<()> {
    file.sync_all()
}

/// From the start of the process to the first answer to a read.
async fn restart(cluster: &mut Cluster) {
    let mut times = Vec::new();
    for _ in 0..3 {
        cluster.kill_scheduler();
        let began = Instant::now();
        cluster.start_scheduler();
        times.push(began.elapsed());
        let mut gateway = cluster.client();
        while gateway.list_tasks(v1::ListTasksRequest { page_size: 1, ..Default::default() }).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    times.sort();
    let (median, worst) = (percentile(&times, 50), percentile(&times, 100));
    println!("{{\"restart\":\"after kill -9\",\"ready_ms\":{},\"worst_ms\":{}}}", ms(median), ms(worst));
    report_memory(cluster, "after the restart");
}

fn sample(ids: &[String]) -> Vec<String> {
    let step = (ids.len() / SAMPLES).max(1);
    ids.iter().step_by(step).take(SAMPLES).cloned().collect()
}

async fn verbs(gateway: &Gateway, what: &str, ids: &[String]) {
    let mut gateway = gateway.clone();
    let (mut get, mut explain, mut cancel, mut retry) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let task_id = id.clone();
        get.push(timed(gateway.get_task(v1::GetTaskRequest { task_id: task_id.clone() })).await);
        explain.push(timed(gateway.explain_task(v1::ExplainTaskRequest { task_id: task_id.clone() })).await);
        cancel.push(timed(gateway.cancel_task(v1::CancelTaskRequest { task_id: task_id.clone(), wait: false })).await);
        retry.push(timed(gateway.retry_task(v1::RetryTaskRequest { task_id })).await);
    }
    for (verb, times) in [("get", get), ("explain", explain), ("cancel", cancel), ("retry", retry)] {
        print_times(&format!("\"verb\":\"{verb}\",\"of\":\"{what}\""), times);
    }
}

async fn timed<T>(call: impl Future<Output = Result<T, tonic::Status>>) -> Duration {
    let began = Instant::now();
    match call.await {
        Ok(_) => began.elapsed(),
        // A cancelled member has no failed attempt to repeat; it is answered all the same.
        Err(status) if status.code() == tonic::Code::FailedPrecondition => began.elapsed(),
        Err(status) => panic!("{status}"),
    }
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let of = |percent| ms(percentile(&times, percent));
    println!("{{{what},\"n\":{},\"p50_ms\":{},\"p95_ms\":{},\"max_ms\":{}}}", times.len(), of(50), of(95), of(100));
}

async fn lists(gateway: &Gateway, array: &str) {
    let list = v1::ListTasksRequest::default;
    let status = |status: v1::TaskStatus| vec![status.into()];
    let filters = [
        ("none", list()),
        ("pending", v1::ListTasksRequest { statuses: status(v1::TaskStatus::Pending), ..list() }),
        ("running", v1::ListTasksRequest { statuses: status(v1::TaskStatus::Running), ..list() }),
        ("completed", v1::ListTasksRequest { statuses: status(v1::TaskStatus::Completed), ..list() }),
        ("cancelled", v1::ListTasksRequest { statuses: status(v1::TaskStatus::Cancelled), ..list() }),
        ("name", v1::ListTasksRequest { name: "job-7".into(), ..list() }),
        ("no such name", v1::ListTasksRequest { name: "nobody".into(), ..list() }),
        ("queue", v1::ListTasksRequest { queue: "q3".into(), ..list() }),
        ("worker", v1::ListTasksRequest { worker_id: "w0".into(), ..list() }),
        (
            "queue, name, failed",
            v1::ListTasksRequest {
                queue: "q3".into(),
                name: "job-3".into(),
                statuses: status(v1::TaskStatus::Failed),
                ..list()
            },
        ),
        ("members", v1::ListTasksRequest { array_id: array.into(), ..list() }),
        (
            "cancelled members",
            v1::ListTasksRequest { array_id: array.into(), statuses: status(v1::TaskStatus::Cancelled), ..list() },
        ),
    ];
    for (name, request) in filters {
        let (times, items) = pages(gateway, request).await;
        print_times(&format!("\"list\":\"{name}\",\"items\":{items}"), times);
    }
}

async fn pages(gateway: &Gateway, mut request: v1::ListTasksRequest) -> (Vec<Duration>, usize) {
    let (mut times, mut items) = (Vec::new(), 0);
    let mut gateway = gateway.clone();
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = gateway.list_tasks(request.clone()).await.unwrap_or_else(|s| panic!("list: {s}")).into_inner();
        times.push(began.elapsed());
        items += page.tasks.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    (times, items)
}

/// A worker comes; a task of higher priority than all that wait must not wait for them.
async fn first_in_line(cluster: &mut Cluster) {
    cluster.start_worker(0);
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let run = cluster.baton(&["run", "--priority", "10", "--", "true"]).status();
        assert!(run.is_ok_and(|status| status.success()));
        times.push(began.elapsed());
    }
    print_times("\"run\":\"higher priority, by the CLI, a full worker of 2 slots\"", times);
}
