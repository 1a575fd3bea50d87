//! `make demo`: three services and two workers as real processes, a batch over real files of this machine, the
//! scheduler killed in the middle – and then the accounts.

use e2e::{Cluster, PATIENCE, finished_with_output};
use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Instant,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use wire::v1::{self, task_spec::Run};

/// Each of them is checksummed and compressed: twice as many tasks.
const FILES: usize = 300;
/// Files looked at.
const SEEN: usize = 20_000;
/// Files of a size that takes a moment, and not more.
const SIZES: std::ops::Range<u64> = 1_024..200_000;
/// Where machines have such files; this repository as the last resort.
const PLACES: &[&str] = &["/usr/include", "/usr/share", "/usr/lib", env!("CARGO_MANIFEST_DIR")];
/// Tasks watched at once.
const WATCHED: usize = 64;

/// A task that was submitted, and what it was for.
struct Job {
    id: String,
    file: PathBuf,
    /// Where the compressed file goes; `None`: the task prints the checksum.
    compressed: Option<PathBuf>,
}

/// How a task ended.
struct Done {
    job: Job,
    task: v1::Task,
    output: Vec<u8>,
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if runtime.block_on(demo()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn demo() -> bool {
    let files = files();
    let mut cluster = Cluster::start(2);
    println!("scheduler {}   gateway {}   workers w0, w1", cluster.scheduler_address, cluster.gateway_address);
    let witness = cluster.dir().join("witness");
    let began = Instant::now();
    let jobs = submit(&cluster, &files, &witness).await;
    println!("submitted {} tasks in one durable call, {:.0?}", jobs.len(), began.elapsed());

    let submitted = jobs.len();
    let done = follow(&mut cluster, jobs).await;
    println!("all ended after {:.1?}\n", began.elapsed());
    let good = account(&done, submitted, &witness);
    let stopped = cluster.stop();
    println!("{}", stopped.join("\n"));
    good && stopped.len() == 4
}

/// Some hundred readable files, the same ones on every run.
fn files() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), PLACES.iter().rev().map(PathBuf::from).collect::<Vec<_>>());
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata().is_ok_and(|m| SIZES.contains(&m.len())) {
                found.push(entry.path());
            }
        }
        if found.len() >= SEEN {
            break;
        }
    }
    // Spread over all that was seen: neighbours are much alike.
    let step = (found.len() / FILES).max(1);
    found.into_iter().step_by(step).take(FILES).collect()
}

async fn submit(cluster: &Cluster, files: &[PathBuf], witness: &Path) -> Vec<Job> {
    let out = cluster.dir().join("compressed");
    fs::create_dir_all(&out).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
    let (mut tasks, mut jobs) = (Vec::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        let compressed = out.join(format!("{index}.gz"));
        let common = [("FILE", file), ("WITNESS", &witness.to_path_buf()), ("OUT", &compressed)];
        for (name, work, target) in
            [("sha256sum", "sha256sum \"$FILE\"", None), ("gzip", "gzip -9c \"$FILE\" > \"$OUT\"", Some(&compressed))]
        {
            let env = common.iter().map(|(k, v)| ((*k).to_owned(), v.display().to_string())).collect();
            let command = format!("echo $BATON_TASK_ID $BATON_ATTEMPT >> \"$WITNESS\"; {work}");
            let run = Some(Run::Shell(v1::ShellRun { command, env, ..Default::default() }));
            tasks.push(v1::TaskSpec { name: name.into(), run, ..Default::default() });
            jobs.push(Job { id: String::new(), file: file.clone(), compressed: target.cloned() });
        }
    }
    let answer = cluster.client().submit_tasks(v1::SubmitTasksRequest::from(tasks)).await;
    let accepted = answer.unwrap_or_else(|status| panic!("submit: {status}")).into_inner().accepted();
    let accepted = accepted.unwrap_or_else(|error| panic!("submit: {error}"));
    for (job, accepted) in jobs.iter_mut().zip(accepted) {
        job.id = accepted.task_id;
    }
    jobs
}

/// Watches all of them to their end; kills and restarts the scheduler when a third is done.
async fn follow(cluster: &mut Cluster, jobs: Vec<Job>) -> Vec<Done> {
    let total = jobs.len();
    let (sender, mut ended) = mpsc::channel(WATCHED);
    let permits = Arc::new(Semaphore::new(WATCHED));
    let mut watchers = JoinSet::new();
    for job in jobs {
        let (gateway, sender, permits) = (cluster.client(), sender.clone(), permits.clone());
        watchers.spawn(async move {
            let Ok(_permit) = permits.acquire().await else { return };
            let (task, output) = finished_with_output(&gateway, &job.id).await;
            // The receiver lives until all have ended.
            let _ = sender.send(Done { job, task, output }).await;
        });
    }
    drop(sender);
    let mut done = Vec::with_capacity(total);
    while let Some(one) = tokio::time::timeout(PATIENCE, ended.recv()).await.ok().flatten() {
        done.push(one);
        show(&done, total);
        if done.len() == total / 3 {
            let began = Instant::now();
            cluster.kill_scheduler();
            println!("\n>>> kill -9 of the scheduler, {} of {total} tasks done; the workers go on", done.len());
            cluster.start_scheduler();
            println!(">>> the scheduler is back after {:.0?}", began.elapsed());
        }
    }
    println!();
    done
}

/// A progress line, with the newest output.
fn show(done: &[Done], total: usize) {
    let newest = done.iter().rev().find(|d| !d.output.is_empty());
    let output = newest.map(|d| String::from_utf8_lossy(&d.output).trim_end().to_owned()).unwrap_or_default();
    let line: String = format!("{:>4}/{total} {output}", done.len()).chars().take(110).collect();
    let mut out = std::io::stdout().lock();
    let terminal = out.is_terminal();
    // Nobody who reads it: nothing lost.
    let _ = if terminal {
        write!(out, "\r\x1b[2K{line}")
    } else if done.len().is_multiple_of(50) {
        writeln!(out, "{line}")
    } else {
        Ok(())
    };
    let _ = out.flush();
}

/// The accounts: what was asked for against what happened.
fn account(done: &[Done], submitted: usize, witness: &Path) -> bool {
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    let text = fs::read_to_string(witness).unwrap_or_default();
    for id in text.lines().filter_map(|line| line.split(' ').next()) {
        *runs.entry(id).or_default() += 1;
    }
    let completed = done.iter().filter(|d| d.task.state == "completed").count();
    let lost = done.iter().filter(|d| !runs.contains_key(d.job.id.as_str())).count() + (submitted - done.len());
    let twice = runs.values().filter(|n| **n > 1).count();
    let wrong = done.iter().filter(|d| !right(d)).count();
    let rows = [
        ("submitted", submitted, submitted),
        ("completed", completed, submitted),
        ("lost", lost, 0),
        ("run twice (each task leaves a line in a file)", twice, 0),
        ("wrong checksum or wrong compressed file", wrong, 0),
    ];
    for (what, count, wanted) in rows {
        println!("{count:>6}  {what}{}", if count == wanted { "" } else { "   <-- not as promised" });
    }
    println!();
    rows.iter().all(|(_, count, wanted)| count == wanted)
}

/// Whether the task did what it was for, seen with other programs.
fn right(done: &Done) -> bool {
    let file = &done.job.file;
    let output = match &done.job.compressed {
        None => Command::new("sha256sum").arg(file).stderr(Stdio::null()).output().map(|o| o.stdout == done.output),
        Some(gz) => Command::new("gzip")
            .arg("-dc")
            .arg(gz)
            .stderr(Stdio::null())
            .output()
            .and_then(|o| Ok(o.stdout == fs::read(file)?)),
    };
    output.unwrap_or(false)
}
