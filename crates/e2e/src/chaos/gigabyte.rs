//! Much output, while everything between the task and its reader is killed, the reader included.

use super::{
    Report,
    load::{block_on, ended, submit},
    reader::Reader,
    sha256,
};
use crate::{Cluster, PATIENCE, shell};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio_stream::StreamExt as _;
use wire::v1;

/// What a task writes at one go.
const PIECE_BYTES: u64 = 4 << 20;
/// Bytes for each kill in a short run …
const SHORT_BYTES: u64 = 16 << 20;
/// … and of a long one in all.
const LONG_BYTES: u64 = 1 << 30;
/// From so many rounds on it is a long one.
const LONG_TIMES: u32 = 4;
/// What is killed in each round.
const VICTIMS: [&str; 4] = ["gateway", "scheduler", "worker", "reader"];

pub(super) fn run(times: u32, report: &mut Report) {
    let kills = u64::from(times) * VICTIMS.len() as u64;
    let bytes = if times >= LONG_TIMES { LONG_BYTES } else { kills * SHORT_BYTES };
    let mut cluster = Cluster::start(1);
    // Paced below what a spool takes in while the scheduler is away: what is tested is that nothing is lost, not
    // what happens when a limit is reached. No two pieces are alike.
    let line = |pause: &str| {
        let pieces = bytes / PIECE_BYTES;
        format!("for n in $(seq {pieces}); do seq $((n * 1000000)) 999999999999 | head -c {PIECE_BYTES}; {pause} done")
    };
    let spec = v1::TaskSpec { idempotency_key: "big".into(), timeout_ms: Some(0), ..shell(&line("sleep 0.04;")) };
    let began = Instant::now();
    let ids = block_on(async { submit(&cluster.client(), vec![spec]).await });
    let mut reader = Reader::start(&cluster, &ids[0], "copy");
    let mut killed_in_time = 0;
    for kill in 1..=kills {
        let share = bytes * kill / (kills + 1);
        wait_for(share, &mut reader);
        killed_in_time += u64::from(!reader.has_ended());
        match VICTIMS[(kill % 4) as usize] {
            "gateway" => {
                cluster.kill_gateway();
                cluster.start_gateway();
            }
            "scheduler" => {
                cluster.kill_scheduler();
                cluster.start_scheduler();
            }
            "worker" => {
                cluster.kill_worker(0);
                cluster.start_worker(0);
            }
            _ => reader.kill_and_restart(),
        }
    }
    wait_for(bytes, &mut reader);
    let copy = reader.ended().unwrap_or_else(|complaint| panic!("the reader gave up: {complaint}"));
    let seconds = began.elapsed().as_secs_f64();
    let task = ended(&cluster, &ids).remove(0);
    let printed = Command::new("sh").args(["-c", &format!("{{ {}; }} | sha256sum", line(""))]).output();
    let printed = String::from_utf8_lossy(&printed.map(|output| output.stdout).unwrap_or_default()).into_owned();
    let wanted = printed.split_whitespace().next().unwrap_or_default();
    let (read, stored) = (sha256::of_file(&copy), stored(&cluster, &ids[0]));
    report.tried(1);
    report.wrong(usize::from(read != wanted) + usize::from(stored != wanted));
    report.must(task.state == "completed" && task.attempts.len() == 1, || format!("the task: {task:#?}"));
    report.must(killed_in_time == kills, || format!("{killed_in_time} of {kills} kills came in time"));
    report.figure("bytes", bytes);
    report.figure("kills_each", times);
    report.figure("sha256", wanted);
    report.figure("mib_per_second", (bytes as f64 / f64::from(1 << 20) / seconds).round());
}

/// Waits until the reader has so many bytes, as long as it gets more.
fn wait_for(bytes: u64, reader: &mut Reader) {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let now = reader.bytes();
        if now >= bytes || reader.has_ended() {
            return;
        }
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "the reader is stuck at {now} of {bytes} bytes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The checksum of what is stored, as somebody sees it who comes later.
fn stored(cluster: &Cluster, id: &str) -> String {
    block_on(async {
        let request =
            v1::ReadOutputRequest { task_id: id.into(), stream: v1::OutputStream::Stdout.into(), ..Default::default() };
        let mut chunks = match cluster.client().read_output(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => panic!("read output: {status:?}"),
        };
        let mut sha = sha256::Sha256::new();
        while let Some(chunk) = chunks.next().await {
            sha.update(&chunk.unwrap_or_else(|status| panic!("read output: {status:?}")).data);
        }
        sha.finish()
    })
}
