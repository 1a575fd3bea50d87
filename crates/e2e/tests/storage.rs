//! What the disk does wrong: full, failing, damaged, older than it was. Each is loud, none loses what was acknowledged
//! without a word, and a full disk heals by itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Cluster, Gateway, SmallDisk, eventually, failing_sync, finished, json, output_of, said, shell, skip};
use std::io::{Read as _, Write as _};
use std::{fs, net::SocketAddr, net::TcpStream, path::Path, path::PathBuf};
use tonic::{Code, Request};
use wire::v1;

const MIB: u64 = 1 << 20;

/// What /readyz says.
fn readyz(service: SocketAddr) -> String {
    let mut text = String::new();
    let asked = TcpStream::connect(service).and_then(|mut socket| {
        write!(socket, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        socket.read_to_string(&mut text)
    });
    asked.map(|_| text).unwrap_or_default()
}

async fn submit(gateway: &Gateway, line: &str) -> String {
    gateway.clone().submit_task(shell(line)).await.unwrap().into_inner().task_id
}

async fn state(gateway: &Gateway, id: &str) -> String {
    let task = gateway.clone().get_task(v1::GetTaskRequest { task_id: id.into() }).await.unwrap();
    task.into_inner().state
}

async fn until(gateway: &Gateway, id: &str, wanted: &str) {
    let began = std::time::Instant::now();
    while state(gateway, id).await != wanted {
        assert!(began.elapsed() < e2e::PATIENCE, "{id} is {}, not {wanted}", state(gateway, id).await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_nothing_else_and_heals() {
    let mut cluster = Cluster::empty();
    let Some(disk) = SmallDisk::mount(&cluster.data_dir(), 64 * MIB) else {
        return skip("a mount namespace is not to be had here");
    };
    cluster.scheduler_prefix = disk.prefix();
    cluster.scheduler_args = ["--min-free-disk", "12MiB", "--ballast", "6MiB"].map(str::to_owned).to_vec();
    cluster.slots = 8;
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let gateway = cluster.client();
    eventually("the ballast", || disk.outside("ballast").exists().then_some(()));
    let (gate, sleeper) = (cluster.dir().join("gate"), submit(&gateway, "sleep 600").await);
    let held = |then: &str| format!("until [ -e {} ]; do sleep 0.02; done; {then}", gate.display());
    let mut small = Vec::new();
    for index in 0..4 {
        small.push(submit(&gateway, &held(&format!("echo {index}"))).await);
    }
    let large = submit(&gateway, &held("head -c 9000000 /dev/zero")).await;
    for id in small.iter().chain([&large, &sleeper]) {
        until(&gateway, id, "running").await;
    }
    // Nearly full: nothing new, and everybody is told why.
    disk.fill(8 * MIB);
    // A submit may be judged by a look that is 100 ms old: this one comes after the disk was seen to be short.
    eventually("/readyz to say so", || readyz(cluster.scheduler_address).contains("--min-free-disk").then_some(()));
    let refused = gateway.clone().submit_task(shell("true")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let text = refused.message();
    assert!(text.contains("--min-free-disk 12 MiB") && text.contains(&*cluster.data_dir().to_string_lossy()), "{text}");
    // Full to the last byte: what runs ends, what is cancelled is, what is read is there.
    let ballast = || disk.outside("ballast").exists().then_some(());
    disk.fill(0);
    // A commit that came meanwhile gave the ballast up, and that was filled as well: that is the next test.
    while ballast().is_none() {
        disk.empty();
        eventually("the ballast", ballast);
        disk.fill(0);
    }
    fs::write(&gate, "").unwrap();
    for (index, id) in small.iter().enumerate() {
        assert_eq!(finished(&gateway, id).await.state, "completed");
        assert_eq!(output_of(&gateway, id, v1::OutputStream::Stdout).await, format!("{index}\n").as_bytes());
    }
    let request = v1::CancelTaskRequest { task_id: sleeper.clone(), ..Default::default() };
    gateway.clone().cancel_task(request).await.unwrap();
    assert_eq!(finished(&gateway, &sleeper).await.state, "cancelled");
    assert_eq!(state(&gateway, &large).await, "running", "its output has no room");
    // Room again: all of it heals, and nothing is lost.
    disk.empty();
    let task = finished(&gateway, &large).await;
    assert_eq!((task.state.as_str(), task.attempts.len()), ("completed", 1));
    let bytes = output_of(&gateway, &large, v1::OutputStream::Stdout).await;
    assert!(bytes.len() == 9_000_000 && bytes.iter().all(|byte| *byte == 0));
    eventually("the ballast again", || disk.outside("ballast").exists().then_some(()));
    eventually("/readyz to be well", || readyz(cluster.scheduler_address).contains("\"ready\":true").then_some(()));
    let id = submit(&gateway, "true").await;
    assert_eq!(finished(&gateway, &id).await.state, "completed");
}

#[tokio::test]
async fn a_disk_that_is_full_beyond_its_ballast_is_waited_for_and_answered_for() {
    let mut cluster = Cluster::empty();
    let Some(disk) = SmallDisk::mount(&cluster.data_dir(), 48 * MIB) else {
        return skip("a mount namespace is not to be had here");
    };
    cluster.scheduler_prefix = disk.prefix();
    cluster.scheduler_args = ["--min-free-disk", "0", "--ballast", "0"].map(str::to_owned).to_vec();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    let gateway = cluster.client();
    let before = submit(&gateway, "echo before").await;
    finished(&gateway, &before).await;
    disk.fill(0);
    let mut large = shell("true");
    if let Some(v1::task_spec::Run::Shell(run)) = &mut large.run {
        run.stdin = vec![b'x'; 900_000];
    }
    // The log may have room left for a few.
    let mut accepted = Vec::new();
    let refused = loop {
        match gateway.clone().submit_task(large.clone()).await {
            Ok(answer) => accepted.push(answer.into_inner().task_id),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    // Whatever the answer is to a cancel, it is one; and reads go on.
    let request = v1::CancelTaskRequest { task_id: before.clone(), ..Default::default() };
    let cancel = gateway.clone().cancel_task(request).await.unwrap_err();
    assert!(
        [Code::ResourceExhausted, Code::Unavailable, Code::FailedPrecondition].contains(&cancel.code()),
        "{cancel:?}"
    );
    assert_eq!(state(&gateway, &before).await, "completed");
    disk.empty();
    let after = eventually_submitted(&gateway).await;
    for id in accepted.iter().chain([&after]) {
        assert_eq!(finished(&gateway, id).await.state, "completed");
    }
    let log = cluster.scheduler.as_ref().unwrap().log();
    assert!(log.matches("starting again from the store").count() < 10, "{log}");
}

async fn eventually_submitted(gateway: &Gateway) -> String {
    let began = std::time::Instant::now();
    loop {
        match gateway.clone().submit_task(shell("true")).await {
            Ok(answer) => return answer.into_inner().task_id,
            Err(status) => assert!(began.elapsed() < e2e::PATIENCE, "{status:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Some of the hundred that the chaos run takes: at the start, in commits, in checkpoints.
#[tokio::test]
async fn a_failing_sync_makes_no_answer_wrong() {
    for n in [3, 6, 14, 21] {
        let Some(done) = failing_sync(n, 12).await else { return skip("strace is not installed") };
        println!("{done:?}");
        assert_eq!(done.wrong, Vec::<String>::new(), "{done:?}");
        assert!(done.acknowledged > 0, "{done:?}");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    ["tasks.sqlite", "tasks.sqlite-wal", "watermark"].map(|name| dir.join(name)).to_vec()
}

/// Copies the scheduler's store as it lies there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (from, to) in files(from).into_iter().zip(files(to)) {
        let _ = fs::remove_file(&to);
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test]
async fn an_older_copy_of_the_store_is_found_out_by_its_worker_and_accepted_by_its_operator() {
    let mut cluster = Cluster::start(1);
    let gateway = cluster.client();
    let kept = submit(&gateway, "echo kept").await;
    finished(&gateway, &kept).await;
    let (data, backup) = (cluster.data_dir(), cluster.dir().join("backup"));
    cluster.kill_scheduler();
    copy(&data, &backup);
    cluster.start_scheduler();
    let answer = gateway.clone().submit_task(shell("echo lost")).await.unwrap().into_inner();
    let (lost, receipt) = (answer.task_id, answer.receipt);
    finished(&gateway, &lost).await;
    // What the worker was told: it is on its disk within a second.
    let remembers = || fs::read_to_string(cluster.dir().join("w0/watermark.json")).unwrap_or_default();
    let seen = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok()?["commit"].as_u64();
    let commit = receipt.rsplit_once('.').unwrap().1.parse::<u64>().unwrap();
    eventually("the worker to remember", || seen(&remembers()).filter(|seen| *seen >= commit));
    cluster.kill_scheduler();
    // Nothing in the directory itself remembers more: it is whole, and older.
    copy(&backup, &data);
    cluster.start_scheduler();
    let said = eventually("the gap on /readyz", || {
        let said = readyz(cluster.scheduler_address);
        said.contains("lost what was acknowledged").then_some(said)
    });
    assert!(said.contains("worker w0 remembers"), "{said}");
    let refused = gateway.clone().submit_task(shell("true")).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused:?}");
    assert_eq!(state(&gateway, &kept).await, "completed", "reads go on");
    // It stays so without the worker: the store's directory remembers now.
    cluster.kill_worker(0);
    cluster.kill_scheduler();
    cluster.start_scheduler();
    let refused = gateway.clone().submit_task(shell("true")).await.unwrap_err();
    let number = refused.message().rsplit_once("--accept-data-loss ").unwrap().1.to_owned();
    cluster.kill_scheduler();
    cluster.scheduler_args = vec!["--accept-data-loss".into(), number];
    cluster.start_scheduler();
    cluster.start_worker(0);
    let again = eventually_submitted(&gateway).await;
    assert_eq!(finished(&gateway, &again).await.state, "completed");
    // Who was told of the lost one hears of the loss, not that there is no such task.
    let mut ask = Request::new(v1::GetTaskRequest { task_id: lost.clone() });
    ask.metadata_mut().insert("baton-receipt", receipt.parse().unwrap());
    let told = gateway.clone().get_task(ask).await.unwrap_err();
    assert_eq!(told.code(), Code::DataLoss, "{told:?}");
    let without = gateway.clone().get_task(v1::GetTaskRequest { task_id: lost }).await.unwrap_err();
    assert_eq!(without.code(), Code::NotFound);
}

#[tokio::test]
async fn a_flipped_bit_of_the_log_is_named_and_a_foreign_store_refuses_the_worker() {
    let mut cluster = Cluster::start(1);
    let gateway = cluster.client();
    for _ in 0..5 {
        let id = submit(&gateway, "true").await;
        finished(&gateway, &id).await;
    }
    cluster.kill_scheduler();
    let log = cluster.data_dir().join("tasks.sqlite-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    cluster.start_scheduler();
    let refused = gateway.clone().submit_task(shell("true")).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused:?}");
    assert!(cluster.scheduler.as_ref().unwrap().log().contains("ERROR Nothing is scheduled"));
    cluster.kill_scheduler();
    fs::rename(cluster.data_dir(), cluster.dir().join("damaged")).unwrap();
    cluster.start_scheduler();
    let id = eventually_submitted(&gateway).await;
    eventually("the worker to be refused", || {
        let log = cluster.scheduler.as_ref()?.log();
        log.contains("belongs to the store").then_some(())
    });
    assert_eq!(state(&gateway, &id).await, "queued", "it isn't this store's worker");
}

#[tokio::test]
async fn a_backup_of_a_running_scheduler_is_restored_with_all_its_output() {
    let mut cluster = Cluster::start(1);
    let gateway = cluster.client();
    let mut outputs = Vec::new();
    for index in 0..6 {
        let line = if index % 2 == 0 { format!("echo {index}") } else { "seq 1 30000".into() };
        let id = submit(&gateway, &line).await;
        finished(&gateway, &id).await;
        outputs.push((id.clone(), output_of(&gateway, &id, v1::OutputStream::Stdout).await));
    }
    let (data, to) = (cluster.data_dir().display().to_string(), cluster.dir().join("backup").display().to_string());
    let manifest = json(&cluster, &["backup", "--data-dir", &data, &to]);
    assert_eq!(manifest["tasks"], 6, "{manifest}");
    let (code, _, text) = said(&cluster, &["backup", "--data-dir", &data, &to]);
    assert!(code == Some(1) && text.contains("is not empty"), "{text}");
    let late = submit(&gateway, "true").await;
    finished(&gateway, &late).await;
    cluster.kill_worker(0);
    cluster.kill_scheduler();
    let (code, _, text) = said(&cluster, &["restore", "--data-dir", &data, &to]);
    assert!(code == Some(1) && text.contains("is not empty"), "{text}");
    fs::rename(cluster.data_dir(), cluster.dir().join("lost")).unwrap();
    let (code, said_so, text) = said(&cluster, &["restore", "--data-dir", &data, &to]);
    let number = manifest["commit"].to_string();
    assert!(code == Some(0) && text.contains(&format!("--accept-data-loss {number}")), "{said_so}{text}");
    cluster.start_scheduler();
    let refused = gateway.clone().submit_task(shell("true")).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused:?}");
    let (code, found, _) = said(&cluster, &["doctor", "--data-dir", &data, "--min-free-disk", "0"]);
    assert!(code == Some(1) && found.contains("✗ restored"), "{found}");
    cluster.kill_scheduler();
    cluster.scheduler_args = vec!["--accept-data-loss".into(), number];
    cluster.start_scheduler();
    cluster.start_worker(0);
    for (id, output) in outputs {
        assert_eq!(finished(&gateway, &id).await.state, "completed");
        assert!(output_of(&gateway, &id, v1::OutputStream::Stdout).await == output, "the output of {id} differs");
    }
    // The worker has seen what the backup has not: it comes back all the same, because the loss is accepted.
    let id = eventually_submitted(&gateway).await;
    assert_eq!(finished(&gateway, &id).await.state, "completed");
}

#[tokio::test]
async fn the_doctor_looks_at_what_there_is() {
    let cluster = Cluster::empty();
    let (code, found, _) = said(&cluster, &["doctor"]);
    assert!(code == Some(0) && found.contains("! gateway") && found.contains("no data directory"), "{found}");
    let cluster = Cluster::start(1);
    let gateway = cluster.client();
    let id = submit(&gateway, "true").await;
    finished(&gateway, &id).await;
    let data = cluster.data_dir().display().to_string();
    let looked = json(&cluster, &["doctor", "--data-dir", &data, "--min-free-disk", "0"]);
    let findings = looked["findings"].as_array().unwrap();
    for name in [
        "version",
        "gateway",
        "worker",
        "docker",
        "sqlite",
        "open files",
        "disk",
        "ballast",
        "fsync",
        "store",
        "watermark",
    ] {
        let finding = findings.iter().find(|finding| finding["name"] == name);
        assert!(finding.is_some_and(|finding| finding["verdict"] != "bad"), "{name}: {looked}");
    }
    assert!(looked.to_string().contains("kills by"), "{looked}");
    // Somebody who isn't an engine; somebody who never says anything would take longer.
    let socket = cluster.dir().join("docker.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let there = format!("unix://{}", socket.display());
    let table = [
        ("none", "✓ docker", "none: "),
        ("unix:///no/such/socket", "! docker", "no engine at unix:///no/such/socket"),
        (&there, "! docker", "Connection refused"),
    ];
    for (host, verdict, text) in table {
        let (code, found, _) =
            said(&cluster, &["doctor", "--data-dir", &data, "--min-free-disk", "0", "--docker-host", host]);
        let line = found.lines().find(|line| line.starts_with(verdict)).unwrap_or_default();
        assert!(code == Some(0) && line.contains(text), "{host}: {found}");
    }
}
