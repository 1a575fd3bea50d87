//! Arrays: many tasks as one. Their books always agree with what happened, and each member is a task like any other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gate, Gateway, accepted, eventually, json, metrics, ran, said, shell, witness};
use std::{collections::BTreeMap, fs, io::Write, net::SocketAddr, path::Path, process::Stdio};
use tokio_stream::StreamExt;
use wire::v1::{self, TaskStatus};

/// Every eighth of them fails.
const MEMBERS: u64 = 300;
const FAILING: u64 = 37;

/// A member that leaves its index, and fails if that can be divided by eight, until a file says otherwise.
fn flaky(dir: &Path) -> String {
    let test = "[ $((BATON_ARRAY_INDEX % 8)) != 0 ]";
    format!("echo $BATON_ARRAY_INDEX >> {0}/ran; [ -e {0}/mended ] || {test}", dir.display())
}

fn array(line: &str, last: u32) -> v1::TaskSpec {
    let ranges = vec![v1::Range { first: 1, last }];
    v1::TaskSpec { array: Some(v1::TaskArray { ranges, entries: Vec::new() }), ..shell(line) }
}

/// How many there are, have completed, and have failed.
type Sums = (u64, u64, u64);

fn sums(counts: &v1::TaskCounts) -> Sums {
    let v1::TaskCounts {
        delayed,
        queued,
        backing_off,
        dispatched,
        running,
        cancelling,
        completed,
        failed,
        timed_out,
        cancelled,
    } = *counts;
    let live = delayed + queued + backing_off + dispatched + running + cancelling;
    (live + completed + failed + timed_out + cancelled, completed, failed)
}

async fn task(gateway: &Gateway, id: &str) -> v1::Task {
    gateway.clone().get_task(v1::GetTaskRequest { task_id: id.into() }).await.unwrap().into_inner()
}

async fn list(gateway: &Gateway, array_id: &str) -> Vec<v1::Task> {
    let (mut tasks, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTasksRequest { array_id: array_id.into(), page_token, ..Default::default() };
        let page = gateway.clone().list_tasks(request).await.unwrap().into_inner();
        tasks.extend(page.tasks);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return tasks;
        }
    }
}

fn listed(tasks: &[v1::Task]) -> Sums {
    let of = |status: TaskStatus| tasks.iter().filter(|task| task.status() == status).count() as u64;
    (tasks.len() as u64, of(TaskStatus::Completed), of(TaskStatus::Failed))
}

fn scraped(scheduler: SocketAddr) -> Sums {
    let states: BTreeMap<String, f64> = metrics(scheduler, "baton_tasks{state=").into_iter().collect();
    let of = |state: &str| states.get(&format!("baton_tasks{{state=\"{state}\"}}")).map_or(0, |n| *n as u64);
    (states.values().map(|n| *n as u64).sum(), of("completed"), of("failed"))
}

#[tokio::test]
async fn counts_agree_with_the_truth_at_every_moment() {
    let cluster = Cluster::start(2);
    let gateway = cluster.client();
    let spec = array(&flaky(cluster.dir()), MEMBERS as u32);
    let id = gateway.clone().submit_task(spec).await.unwrap().into_inner().task_id;
    let scheduler = cluster.scheduler_address;
    // Gauges are set one after the other: a scrape in between is repeated.
    let measure = || eventually("metrics of all", || Some(scraped(scheduler)).filter(|sums| sums.0 == MEMBERS));
    let mut before = (MEMBERS, 0, 0);
    loop {
        let measured = measure();
        let members = listed(&list(&gateway, &id).await);
        let row = sums(list(&gateway, "").await[0].members.as_ref().unwrap());
        let now = task(&gateway, &id).await;
        let after = sums(now.members.as_ref().unwrap());
        for (what, (all, completed, failed)) in
            [("metrics", measured), ("members", members), ("list", row), ("get", after)]
        {
            assert_eq!(all, MEMBERS, "{what}");
            assert!(completed <= after.1 && failed <= after.2, "{what} is ahead: {completed}, {failed}; {after:?}");
        }
        // Metrics may be a moment old.
        for (completed, failed) in [(members.1, members.2), (row.1, row.2), (after.1, after.2)] {
            assert!(before.1 <= completed && before.2 <= failed, "{completed}, {failed} after {before:?}");
        }
        before = after;
        if now.finished_at_ms != 0 {
            break;
        }
    }
    let truth = (MEMBERS, MEMBERS - FAILING, FAILING);
    assert_eq!((before, listed(&list(&gateway, &id).await)), (truth, truth));
    eventually("the metrics to agree", || (scraped(scheduler) == truth).then_some(()));
}

#[test]
fn a_retry_runs_the_members_that_failed_and_no_others() {
    let cluster = Cluster::start(2);
    let (witnessed, last) = (cluster.dir().join("ran"), format!("1-{MEMBERS}"));
    let (code, id, said_else) = said(&cluster, &["submit", "--wait", "--array", &last, "--", &flaky(cluster.dir())]);
    assert_eq!((code, said_else.as_str()), (Some(1), ""), "some failed");
    let id = id.trim();
    assert_eq!(witness(&witnessed).len() as u64, MEMBERS);

    fs::remove_file(&witnessed).unwrap();
    fs::write(cluster.dir().join("mended"), "").unwrap();
    let (code, new, said_else) = said(&cluster, &["retry", "--wait", id]);
    assert_eq!((code, said_else.as_str()), (Some(0), ""), "now all complete");
    let mut indexes: Vec<u64> = witness(&witnessed).iter().map(|line| line.parse().unwrap()).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (1..=FAILING).map(|n| n * 8).collect::<Vec<_>>());

    let new = json(&cluster, &["get", new.trim()]);
    assert_eq!((new["retry_of"].as_str(), new["members"]["completed"].as_u64()), (Some(id), Some(FAILING)), "{new}");
    let old = json(&cluster, &["get", id]);
    assert_eq!((old["state"].as_str(), old["members"]["failed"].as_u64()), (Some("failed"), Some(FAILING)), "{old}");
}

#[test]
fn what_has_not_ended_or_not_failed_cannot_be_retried() {
    let cluster = Cluster::start(1);
    let gate = Gate::new(cluster.dir(), "gate");
    let id = accepted(&cluster, &["--array", "1", "--", &gate.line()]);
    let running = || json(&cluster, &["get", "last.1"])["state"] == "running";
    eventually("the member to run", || running().then_some(()));
    for (given, named) in [("last", id.clone()), ("last.1", format!("{id}.1"))] {
        let wanted = format!("error: task {named} is running: only a final task can be retried\n");
        assert_eq!(said(&cluster, &["retry", given]), (Some(1), String::new(), wanted));
    }
    gate.open();
    assert_eq!(said(&cluster, &["watch", "last"]).0, Some(0));
    let wanted = format!("error: no member of {id} failed\n");
    assert_eq!(said(&cluster, &["retry", "last"]), (Some(1), String::new(), wanted));
}

#[tokio::test]
async fn progress_of_an_array_grows_and_ends_with_how_it_ended() {
    let cluster = Cluster::start(1);
    let mut gateway = cluster.client();
    let ends = [("true", TaskStatus::Completed, Some(100)), ("[ $BATON_ARRAY_INDEX != 7 ]", TaskStatus::Failed, None)];
    for (line, status, percent) in ends {
        let id = gateway.submit_task(array(line, 40)).await.unwrap().into_inner().task_id;
        let request = v1::ProgressRequest { task_id: id };
        let told: Vec<_> = gateway.subscribe_progress(request).await.unwrap().into_inner().collect().await;
        let told: Vec<v1::TaskProgress> = told.into_iter().map(Result::unwrap).collect();
        assert!(told.windows(2).all(|two| two[0].progress_percent <= two[1].progress_percent), "{told:#?}");
        let last = told.last().unwrap();
        assert_eq!(last.status(), status, "{told:#?}");
        assert_eq!(percent.unwrap_or(last.progress_percent), last.progress_percent, "{told:#?}");
    }
}

#[test]
fn watch_tells_how_many_have_ended_and_its_code_whether_all_completed() {
    let cluster = Cluster::start(1);
    accepted(&cluster, &["--array", "1-9", "--", "true"]);
    let (code, told, _) = said(&cluster, &["watch", "last"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("completed: 9 of 9 final: 9 completed\n"), "{told}");
    accepted(&cluster, &["--array", "1-9", "--", "[ $BATON_ARRAY_INDEX != 7 ]"]);
    let (code, told, _) = said(&cluster, &["watch", "last"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.ends_with("failed: 9 of 9 final: 8 completed, 1 failed\n"), "{told}");
}

#[test]
fn members_know_who_they_are() {
    let cluster = Cluster::start(1);
    let lines = cluster.dir().join("lines");
    fs::write(&lines, "a b\n\n$HOME; \"x\"").unwrap();
    let line = r#"printf '%s|' "$BATON_TASK_ID" "$BATON_ARRAY_INDEX" "${BATON_ENTRY-unset}""#;
    let check = |id: &str| {
        assert_eq!(said(&cluster, &["watch", id]).0, Some(0));
        for (index, entry) in [(1, "a b"), (2, ""), (3, "$HOME; \"x\"")] {
            let member = format!("last.{index}");
            assert_eq!(said(&cluster, &["logs", &member]).1, format!("{id}.{index}|{index}|{entry}|"));
            let told = json(&cluster, &["get", &member]);
            assert_eq!((told["index"].as_u64(), told["entry"].as_str()), (Some(index), Some(entry)), "{told}");
            assert_eq!((told["array"].as_str(), told["state"].as_str()), (Some(id), Some("completed")), "{told}");
        }
    };
    check(&accepted(&cluster, &["--each-line", lines.to_str().unwrap(), "--", line]));
    let mut piped = cluster.baton(&["submit", "--each-line", "-", "--", line]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&fs::read(&lines).unwrap()).unwrap();
    check(String::from_utf8(piped.wait_with_output().unwrap().stdout).unwrap().trim());

    let id = accepted(&cluster, &["--array", "5", "--", line]);
    assert_eq!(said(&cluster, &["watch", "last"]).0, Some(0));
    assert_eq!(said(&cluster, &["logs", "last.5"]).1, format!("{id}.5|5|unset|"), "without entries");
}

#[test]
fn an_index_that_the_array_does_not_have_is_not_found() {
    let cluster = Cluster::start(0);
    accepted(&cluster, &["--quiet", "--array", "2-8:2", "--", "true"]);
    for verb in ["get", "logs", "cancel", "explain", "retry", "watch"] {
        for index in ["last.0", "last.3", "last.9", "last.999999999"] {
            let (code, stdout, stderr) = said(&cluster, &[verb, index]);
            assert_eq!((code, stdout.as_str()), (Some(4), ""), "{verb} {index}: {stderr}");
        }
    }
    let task = json(&cluster, &["get", "last"]);
    assert_eq!(task["members"]["queued"].as_u64(), Some(4), "nothing was changed: {task}");
}

#[test]
fn a_cancelled_member_never_runs_and_the_others_do() {
    let mut cluster = Cluster::start(0);
    let ran = cluster.dir().join("ran");
    let line = format!("echo $BATON_ARRAY_INDEX >> {}", ran.display());
    let id = accepted(&cluster, &["--quiet", "--array", "1-5", "--", &line]);
    assert_eq!(said(&cluster, &["cancel", "last.3"]), (Some(0), format!("{id}.3 cancelled\n"), String::new()));
    let (code, _, stderr) = said(&cluster, &["cancel", "last.3"]);
    assert_eq!((code, stderr), (Some(1), format!("error: task {id}.3 is already cancelled\n")));
    cluster.start_worker(0);
    let (code, told, _) = said(&cluster, &["watch", "last"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.ends_with("cancelled: 5 of 5 final: 4 completed, 1 cancelled\n"), "{told}");
    let mut indexes = witness(&ran);
    indexes.sort();
    assert_eq!(indexes, ["1", "2", "4", "5"]);
}

#[test]
fn a_cancelled_array_is_killed_and_starts_nothing_more() {
    let cluster = Cluster::start(1);
    let pids = cluster.dir().join("pids");
    let line = format!("echo $$ >> {}; exec sleep 987200", pids.display());
    let id = accepted(&cluster, &["--array", "1-50", "--", &line]);
    let running = ran(&pids, 2);
    assert_eq!(said(&cluster, &["cancel", "last"]), (Some(0), format!("{id} cancelled\n"), String::new()));
    let gone = |pid: &String| !Path::new("/proc").join(pid).exists();
    assert!(running.iter().all(gone), "when cancel returns, the processes are gone: {running:?}");
    let task = json(&cluster, &["get", &id]);
    assert_eq!((task["state"].as_str(), task["members"]["cancelled"].as_u64()), (Some("cancelled"), Some(50)));
    // Whatever was still on its way to the worker came before this.
    assert_eq!(said(&cluster, &["run", "--", "true"]).0, Some(0));
    assert_eq!(witness(&pids), running);
}
