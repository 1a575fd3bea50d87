//! `make bench-growth`: how cost grows with workers, with what is queued, and with those who watch. At each power of ten a
//! new cluster: no-op tasks a second, the processor time of one, the latency of a single one, memory, and the cost of
//! doing nothing. Prints a JSON line a point, then tables, and writes a plot.
//!
//! `growth PLOT.svg [workers=1000] [queued=10000000] [watchers=1000] [tasks=100000] [singles=500]`; what is 0 is left out.

mod plot;
mod watchers;
mod workers;

use e2e::{Cluster, Process, cpu_seconds, latency, memory_mib, ms, percentile, submit_all, throughput};
use plot::{Curve, Point};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{fs, path::Path, process::ExitCode, time::Duration};
use watchers::Watchers;
use workers::Workers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Starts under way at all workers together; each has one at least.
const SLOTS: u32 = 512;
/// How long nothing is done, to see what that costs.
const IDLE: Duration = Duration::from_secs(5);
/// Nobody has this handler, so its tasks stay queued.
const NOBODY: &str = "nobody";

/// Up to how many of each, and what is done at each point.
#[derive(Clone, Copy)]
struct Most {
    workers: usize,
    queued: usize,
    watchers: usize,
    /// Tasks in batches.
    tasks: usize,
    /// Tasks one after the other.
    singles: usize,
}

fn main() -> ExitCode {
    let mut most = Most { workers: 1_000, queued: 10_000_000, watchers: 1_000, tasks: 100_000, singles: 500 };
    let mut args = std::env::args().skip(1);
    let Some(plot) = args.next() else { return usage("where shall the plot go?") };
    for arg in args {
        let parted = arg.split_once('=').and_then(|(name, n)| Some((name, n.parse().ok()?)));
        match parted {
            Some(("workers", n)) => most.workers = n,
            Some(("queued", n)) => most.queued = n,
            Some(("watchers", n)) => most.watchers = n,
            Some(("tasks", n)) if n > 0 => most.tasks = n,
            Some(("singles", n)) if n > 0 => most.singles = n,
            _ => return usage(&format!("what is {arg}?")),
        }
    }
    // Each worker and each watcher has a connection.
    let mut descriptors = getrlimit(Resource::Nofile);
    descriptors.current = descriptors.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, descriptors) {
        return usage(&format!("descriptors: {error}"));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return usage(&error.to_string()),
    };
    let curves = runtime.block_on(curves(most));
    for curve in &curves {
        print!("\n{}", curve.table());
    }
    if let Err(error) = fs::write(Path::new(&plot), plot::svg(&curves)) {
        return usage(&format!("{plot}: {error}"));
    }
    ExitCode::SUCCESS
}

fn usage(error: &str) -> ExitCode {
    eprintln!("error: {error}\ngrowth PLOT.svg [workers=N] [queued=N] [watchers=N] [tasks=N] [singles=N]");
    ExitCode::FAILURE
}

async fn curves(most: Most) -> Vec<Curve> {
    let mut curves =
        [("workers", Vec::new(), 1), ("tasks queued", Vec::new(), 1_000), ("watchers of one task", Vec::new(), 1)];
    for ((of, points, first), most_of) in curves.iter_mut().zip([most.workers, most.queued, most.watchers]) {
        for n in powers(*first, most_of) {
            let figures = match *of {
                "workers" => with_workers(n, most).await,
                "tasks queued" => with_queued(n, most).await,
                _ => with_watchers(n, most).await,
            };
            let shown: Vec<String> = figures.iter().map(|(name, value)| format!("\"{name}\":{value:.3}")).collect();
            println!("{{\"{of}\":{n},{}}}", shown.join(","));
            points.push(Point { n, figures });
        }
    }
    let measured = curves.into_iter().filter(|(_, points, _)| !points.is_empty());
    measured.map(|(of, points, _)| Curve { of, points }).collect()
}

fn powers(first: usize, most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(first), |n| n.checked_mul(10)).take_while(move |n| *n <= most)
}

type Figures = Vec<(&'static str, f64)>;

async fn with_workers(workers: usize, most: Most) -> Figures {
    let cluster = services();
    let _workers = Workers::start(&cluster, workers, (SLOTS / u32::try_from(workers).unwrap_or(SLOTS)).max(1)).await;
    common(&cluster, most).await
}

async fn with_queued(queued: usize, most: Most) -> Figures {
    let cluster = services();
    let _workers = Workers::start(&cluster, 1, SLOTS).await;
    submit_all(&cluster, queued, &e2e::handler(NOBODY, b"")).await;
    common(&cluster, most).await
}

async fn with_watchers(watchers: usize, most: Most) -> Figures {
    let cluster = services();
    let _workers = Workers::start(&cluster, 1, SLOTS).await;
    let watchers = Watchers::start(&cluster, watchers, NOBODY).await;
    let mut figures = common(&cluster, most).await;
    figures.push(("ms until the last one sees the end", ms(watchers.see_the_end().await)));
    figures
}

fn services() -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster
}

/// What is asked at every point.
async fn common(cluster: &Cluster, Most { tasks, singles, .. }: Most) -> Figures {
    // The first ones pay for connections and caches.
    latency(cluster, singles.div_ceil(10)).await;
    let times = latency(cluster, singles).await;
    let before = spent(cluster);
    let (took, _) = throughput(cluster, tasks).await;
    let busy = spent(cluster);
    let memory = |process: &Option<Process>| process.as_ref().map_or(0.0, |process| memory_mib(process, "VmRSS"));
    let (scheduler, gateway) = (memory(&cluster.scheduler), memory(&cluster.gateway));
    let still = spent(cluster);
    tokio::time::sleep(IDLE).await;
    let idle: f64 = spent(cluster).iter().zip(still).map(|(after, before)| after - before).sum();
    let micros = |service: usize| (busy[service] - before[service]) * 1e6 / tasks as f64;
    vec![
        ("tasks/s", tasks as f64 / took.as_secs_f64()),
        ("scheduler µs a task", micros(0)),
        ("gateway µs a task", micros(1)),
        ("ms of one task, median", ms(percentile(&times, 50))),
        ("scheduler MiB", scheduler),
        ("gateway MiB", gateway),
        ("% of a core when idle", idle / IDLE.as_secs_f64() * 100.0),
    ]
}

/// Seconds of processor time of scheduler and gateway.
fn spent(cluster: &Cluster) -> [f64; 2] {
    [&cluster.scheduler, &cluster.gateway].map(|service| service.as_ref().map_or(0.0, cpu_seconds))
}
