//! Run: a worker from its flags to its stop.

use crate::{
    Handlers, Options,
    contact::SCHEDULER,
    core::Core,
    custody,
    data_dir::DataDir,
    direct::Direct,
    docker::{self, Docker},
    executors::Executors,
    grpc::Door,
    in_process::InProcess,
    join::{Line, Verb},
    keeper::{self, KeeperOptions},
    leaving::Leaving,
    link::Link,
    meters::Meters,
    policy::Policy,
    run_as::RunAs,
    seen::Seen,
    traced::Traced,
    transport::{self, Target},
};
use domain::{Epoch, Hello, Incarnation, KillLevel, WorkerId, limits};
use service::{Api, Bearer, Fatal, Service, Stopping};
use session::{Session, SessionConfig};
use std::{collections::BTreeSet, ffi::OsString, process::ExitCode, time::Instant};
use tokio::sync::mpsc;
use wire::v1::{self, worker_server::WorkerServer};

/// The most starts held beyond free slots: several batches of the scheduler's, so that one runs while another commits (512
/// were one, and did a third less). How many of them a worker wants is up to how short its tasks are.
const PREFETCH_MAX: u32 = 2048;
/// Direct calls on their way to the loop. When full, callers wait.
const COMMANDS: usize = 64;
/// The subcommand that makes a worker's program its keeper.
const KEEPER: &str = "keeper";
/// The one that makes it the tender of a container.
const TENDER: &str = docker::TENDER;

/// What a program that is a worker may add to the flags.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Handlers of this process.
    pub handlers: Handlers,
    /// Arguments that make this program a keeper: `["keeper"]` for `worker`, `["worker", "keeper"]` for `baton`. With
    /// `tender` in the place of the last one they make it the tender of a container ([`crate::tend`]).
    pub keeper_arguments: &'static [&'static str],
    /// The first signal ends the tasks already, as in `baton dev`.
    pub end_tasks_on_stop: bool,
    /// On loopback, tasks are taken past the scheduler as well, unless this worker has a token.
    pub direct_calls: bool,
}

impl Default for Embedding {
    fn default() -> Self {
        let (keeper_arguments, end_tasks_on_stop, direct_calls) = (&[KEEPER], false, true);
        Self { handlers: Handlers::default(), keeper_arguments, end_tasks_on_stop, direct_calls }
    }
}

impl Embedding {
    /// A program whose `main` is [`main`], with these handlers.
    pub fn of(handlers: Handlers) -> Self {
        Self { handlers, ..Self::default() }
    }
}

/// The worker's `main`: `args` begin with the program's name. `worker keeper …` becomes the keeper, `worker tender` the
/// tender of a container.
pub fn main(args: impl IntoIterator<Item = OsString>, embedding: Embedding) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|arg| arg == KEEPER) {
        return keeper::run(args.into_iter().skip(2));
    }
    if args.get(1).is_some_and(|arg| arg == TENDER) {
        return docker::tend();
    }
    serve(service::parse_from(args).unwrap_or_else(|error| error.exit()), embedding)
}

/// A worker as its command line says, up to its exit code.
pub fn serve(line: Line, embedding: Embedding) -> ExitCode {
    let common = line.common().clone();
    service::run(&common, |stopping| async move {
        let Line { options, verb } = line;
        match verb {
            None => run(options, embedding, stopping).await?,
            Some(Verb::Join(join)) => {
                let joined = tokio::select! {
                    joined = join.joined() => joined?,
                    () = stopping.requested() => return Ok(()),
                };
                // Its scheduler asks who calls, and nobody shall get around that here.
                run(joined, Embedding { direct_calls: false, ..embedding }, stopping).await?;
            }
        }
        Service::say_stopped("Worker");
        Ok(())
    })
}

/// Runs a worker until it is told to stop.
///
/// # Errors
/// What keeps it from starting: the address, the data directory, the keeper, a bad flag.
pub async fn run(options: Options, embedding: Embedding, stopping: Stopping) -> service::Result<()> {
    let bearer = Bearer::of_file(options.token_file.as_deref())?;
    let tls = options.tls.load()?;
    // What asks for tokens elsewhere isn't to be had without one here, and this port knows no tokens.
    let (direct_calls, asks) = (embedding.direct_calls && !bearer.is_some(), bearer.is_some());
    let target = Target::parse(&options.scheduler, &tls)?.with(bearer);
    let identity = Identity::of(&options, &embedding.handlers, &target).await?;
    let Identity { mut hello, data_dir, policy, run_as, docker_answers } = identity;
    let (address, asked) = options.address();
    let service = Service::listen("Worker", address, asked, &options.common, &tls, asks).await?;
    hello.address = service.addr().to_string();
    let readiness = service.readiness();
    readiness.waiting(SCHEDULER, format!("no contact with {} yet", options.scheduler));

    let keeper_options = keeper_options(&options, &hello, &embedding, run_as.is_some());
    let (keeper, keeper_events, held) = custody::open(&data_dir, &keeper_options).await?;
    hello.kill_level = Some(held.level);

    let who = (hello.worker.clone(), &hello.incarnation);
    let (docker, docker_events) =
        Docker::new(&options.docker_host, docker_answers, data_dir.path(), who, embedding.keeper_arguments);
    let (in_process, progress) = InProcess::new(options.kill_grace);
    let (session_events, session_stream) = transport::session(target.clone());
    let (output_events, output_stream) = transport::output(target);
    let (commands, received) = mpsc::channel(COMMANDS);
    let executors = Executors {
        policy,
        run_as,
        keeper,
        in_keeper: Default::default(),
        custody: Default::default(),
        in_process,
        docker,
        commands: options.handlers(),
        handlers: embedding.handlers,
        demo: hello.demo,
        grace: options.kill_grace,
    };
    let mut core = Core {
        began: Instant::now(),
        meters: Meters::default(),
        traced: Traced::new(service.tracer(), hello.worker.clone()),
        slots: hello.slots,
        worker: sender(&hello),
        session: Session::new(SessionConfig { known: data_dir.known(), hello, prefetch_max: PREFETCH_MAX }),
        executors,
        direct: Direct::default(),
        seen: Seen::load(&data_dir),
        data_dir,
        keeper_options,
        keeper_events,
        progress,
        docker_events,
        commands: received,
        session_events,
        output_events,
        session_link: Link::default(),
        output_link: Link::default(),
        readiness: readiness.clone(),
        stopping: stopping.clone(),
        leaving: Leaving::No,
        end_tasks_on_stop: embedding.end_tasks_on_stop,
        stop_within: options.common.stop_timeout / 2,
        scheduler: options.scheduler,
        trouble: String::new(),
        detached: false,
    };
    // Before the first contact: what is held belongs into hello.
    core.adopt(held).await;
    let streams = async { tokio::join!(session_stream, output_stream) };
    together(service, Door { commands, readiness, direct_calls }, core, streams, &stopping).await
}

/// Runs the port, the loop and the streams until the first two have ended.
async fn together(
    service: Service,
    door: Door,
    core: Core,
    streams: impl Future<Output = ((), ())>,
    stopping: &Stopping,
) -> service::Result<()> {
    let server = WorkerServer::new(door)
        .max_decoding_message_size(limits::MESSAGE_BYTES)
        .max_encoding_message_size(limits::MESSAGE_BYTES);
    let serving = async { Ok(service.serve(Api::new(wire::DESCRIPTOR).serving(server), stopping).await?) };
    let working = async { tokio::try_join!(serving, core.run()) };
    tokio::select! {
        result = working => result.map(|((), ())| ()),
        () = async {
            streams.await;
            // Nobody listens to them any more: the loop has ended, and open calls may still be ending.
            std::future::pending().await
        } => Ok(()),
    }
}

/// Whose output it is: what each message of output begins with.
fn sender(hello: &Hello) -> v1::OutputFrames {
    let (worker, incarnation) = (hello.worker.as_str(), hello.incarnation.0.as_ref());
    v1::OutputFrames { worker_id: worker.into(), incarnation: incarnation.into(), frames: Vec::new() }
}

/// Nanoseconds since the machine started, sleep included: an earlier process of this boot has never said a higher number.
fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

/// How its keeper is started, and what it is told.
fn keeper_options(options: &Options, hello: &Hello, embedding: &Embedding, switches_user: bool) -> KeeperOptions {
    let usual = KeeperOptions::new(hello.worker.clone(), embedding.keeper_arguments);
    KeeperOptions { spool: options.spool_limits(), switches_user, ..usual }
}

/// Who this worker is, and what it may do.
struct Identity {
    hello: Hello,
    data_dir: DataDir,
    policy: Policy,
    run_as: Option<RunAs>,
    /// Whether there is a Docker engine, allowed or not.
    docker_answers: bool,
}

impl Identity {
    /// Reads and checks all of it, and takes the data directory.
    async fn of(options: &Options, handlers: &Handlers, target: &Target) -> Result<Self, Fatal> {
        let policy = Policy::read(WorkerId::new(&options.name()), options.policy.as_deref())?;
        let run_as = RunAs::find(policy.run_as(), options.run_as.as_deref())?;
        let mut hello = hello(options, handlers, target, &policy)?;
        let data_dir = DataDir::open(&options.directory(hello.worker.as_str()))?;
        hello.incarnation = data_dir.incarnation()?;
        if let Some(user) = &run_as {
            user.reaches(&data_dir.open_tasks()?)?;
        }
        let docker_answers = docker::answers(&options.docker_host).await;
        hello.docker = docker_answers && policy.docker();
        Ok(Self { hello, data_dir, policy, run_as, docker_answers })
    }
}

/// As it introduces itself, checked before anything is made in its name.
fn hello(options: &Options, handlers: &Handlers, target: &Target, policy: &Policy) -> Result<Hello, Fatal> {
    let commands = options.handlers().into_keys();
    let handlers: BTreeSet<_> = commands.chain(handlers.names().map(ToOwned::to_owned)).collect();
    let demo = target.is_loopback() && handlers.is_empty() && !options.no_demo && !policy.is_given();
    let handlers = handlers.into_iter().filter(|name| policy.handler(name)).collect();
    let hello = Hello {
        worker: WorkerId::new(&options.name()),
        incarnation: Incarnation("to be read".into()),
        labels: options.labels(),
        shell: policy.commands(),
        docker: false,
        demo,
        handlers,
        opened: since_boot(),
        highest_epoch: Epoch(0),
        held: Vec::new(),
        slots: options.slot_count(),
        address: String::new(),
        kill_level: Some(KillLevel::BestEffort),
        version: service::VERSION.to_owned(),
    };
    match hello.check() {
        Ok(()) => Ok(hello),
        Err(error) => Err(Fatal::new(error.text()).hint("see --id, --label and --handler")),
    }
}
