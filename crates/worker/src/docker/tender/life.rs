//! What a tender does with its container, from the job to its ending.

use super::{
    output::{Ended, Output, Rest},
    progress::say,
    stop::Stop,
};
use crate::docker::{
    container_name,
    engine::{Engine, Trouble},
    job::Job,
};
use bollard::models::{ContainerInspectResponse, ContainerState};
use domain::{Container, ContainerLimits, ContainerName, DockerRun};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    collections::BTreeMap,
    future::pending,
    pin::pin,
    time::{Duration, Instant},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{sleep, sleep_until, timeout},
};

/// An engine that doesn't answer a job's first question has so long to do so.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// One that goes away under a container has so long to come back: as long as a worker has by default.
const COME_BACK: Duration = Duration::from_secs(60);
/// Between two tries, and for the answer to one.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Removing a container that has ended is tried for so long; after that it is its worker's.
const REMOVE_WITHIN: Duration = Duration::from_secs(5);
/// Once this process is told to end and its container has, what it wrote has so long to be taken.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The stop signal of images that name none.
const STOP_SIGNAL: &str = "SIGTERM";
/// Variables of this process that the container gets, whatever its task says of them.
const PASSED_ON: [&str; 7] = [
    "BATON_TASK_ID",
    "BATON_ATTEMPT",
    "BATON_WORKER_ID",
    "BATON_ARRAY_INDEX",
    "BATON_ENTRY",
    "TRACEPARENT",
    "TRACESTATE",
];

/// How it ended.
pub(super) enum Ending {
    /// With the container's exit code, or with 0 if none was to be waited for.
    Code(i64),
    /// Nothing was started: why.
    NotStarted(String),
    /// Nobody knows how the container ended: why.
    Lost(String),
    /// As it was told to.
    Stopped,
}

impl From<Trouble> for Ending {
    /// An engine that is away is not the task's fault: another attempt may find it again.
    fn from(trouble: Trouble) -> Self {
        let text = trouble.text();
        match trouble {
            Trouble::Away(_) => Self::Lost(text),
            Trouble::Missing(_) | Trouble::Refused(_) => Self::NotStarted(text),
        }
    }
}

/// Does the job. True: nothing of a container is left that must not be.
pub(super) async fn live(job: &Job, stop: &Stop) -> (Ending, bool) {
    let engine = tokio::select! {
        engine = reach(job, FIRST_ANSWER) => match engine {
            Ok(engine) => engine,
            Err(trouble) => return (trouble.into(), true),
        },
        () = stop.asked() => return (Ending::Stopped, true),
    };
    let ending = match &job.run {
        DockerRun::Run(container) => {
            let name = container_name(job.attempt);
            let made = tokio::select! {
                made = make(&engine, job, container) => made,
                () = stop.asked() => Err(Ending::Stopped),
            };
            let ending = match made {
                Ok(()) => follow(&engine, job, &name, stop).await,
                Err(ending) => ending,
            };
            let gone = remove(job, &name).await;
            return (ending, gone);
        }
        DockerRun::Start(ContainerName(name)) => {
            let ending = follow(&engine, job, name, stop).await;
            let gone = !matches!(ending, Ending::Lost(_));
            return (ending, gone);
        }
        DockerRun::Stop(ContainerName(name)) => tokio::select! {
            stopped = engine.stop(name, job.grace) => stopped.map_or_else(Into::into, |()| Ending::Code(0)),
            () = stop.asked() => Ending::Stopped,
        },
        DockerRun::Logs(ContainerName(name)) => tokio::select! {
            ending = logs(&engine, name) => ending,
            () = stop.asked() => Ending::Stopped,
        },
    };
    (ending, true)
}

/// The engine, once it answers.
async fn reach(job: &Job, within: Duration) -> Result<Engine, Trouble> {
    let until = Instant::now() + within;
    loop {
        match Engine::answers(&job.socket, TRY_AGAIN).await {
            Err(Trouble::Away(_)) if Instant::now() < until => sleep(TRY_AGAIN).await,
            done => return done,
        }
    }
}

/// Makes the container, with its image fetched if need be.
async fn make(engine: &Engine, job: &Job, container: &Container) -> Result<(), Ending> {
    let image = &container.image;
    if !engine.has_image(image).await? {
        say(&format!("pulling image {image}"));
        if let Err(trouble) = engine.pull(image).await {
            // It may only have waited for the registry.
            let away = matches!(trouble, Trouble::Away(_)) && reach(job, Duration::ZERO).await.is_err();
            let text = format!("cannot pull image {image}: {}", trouble.text());
            return Err(if away { Ending::Lost(text) } else { Ending::NotStarted(text) });
        }
        say(&format!("pulled image {image}"));
    }
    Ok(engine.create(job, container, environment(&container.env)).await?)
}

/// The task's, and those of ours that nobody can override.
fn environment(own: &BTreeMap<String, String>) -> Vec<String> {
    let mut all = own.clone();
    all.extend(PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))));
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// What an existing container has written.
async fn logs(engine: &Engine, name: &str) -> Ending {
    // The stream's own errors don't say whether there is such a container.
    if let Err(trouble) = engine.inspect(name).await {
        return trouble.into();
    }
    let output = Output::open();
    let ended = output.pass(engine.logs(name)).await;
    match (ended, output.close().await) {
        (Ended::Whole, Ended::Whole) => Ending::Code(0),
        (Ended::Broken, _) => Ending::NotStarted(format!("the engine has no logs of container {name} to read")),
        (_, _) => Ending::Stopped,
    }
}

/// Starts the container and stays with it until it has ended and its output is passed on.
async fn follow(engine: &Engine, job: &Job, name: &str, stop: &Stop) -> Ending {
    // Before the start, so that nothing is missed.
    let mut stream = match engine.attach(name).await {
        Ok(stream) => stream,
        Err(trouble) => return trouble.into(),
    };
    if let Err(trouble) = engine.start(name).await {
        return trouble.into();
    }
    let output = Output::open();
    let stopping = async {
        stop.asked().await;
        bring_down(engine, job, name, stop).await
    };
    let mut stopping = pin!(stopping);
    let ending = loop {
        let state = engine.inspect(name).await;
        let mut watching = pin!(let_rest_in(&state, output.rest()));
        let mut passing = pin!(output.pass(stream));
        let mut waiting = pin!(engine.exit_code(name));
        let (mut code, mut passed) = (None, None);
        // The exit code and the end of the output, whichever comes first; an engine that is away ends both.
        while code.is_none() || passed.is_none() {
            tokio::select! {
                answer = &mut waiting, if code.is_none() => code = Some(answer),
                ended = &mut passing, if passed.is_none() => {
                    passed = Some(ended);
                    if ended == Ended::Unread {
                        // Its keeper is gone: the attempt is lost, and nobody asks for the end any more.
                        return unread(engine, job, name).await;
                    }
                }
                () = &mut stopping => {}
                () = &mut watching => {}
            }
        }
        match code {
            Some(Ok(code)) => {
                out_of_memory(engine, job, name, code).await;
                break Ending::Code(code);
            }
            Some(Err(_)) | None => match come_back(job, name).await {
                Ok(Some(code)) => break Ending::Code(code),
                Ok(None) => match engine.attach(name).await {
                    Ok(again) => stream = again,
                    Err(trouble) => break Ending::Lost(trouble.text()),
                },
                Err(why) => break Ending::Lost(why),
            },
        }
    };
    tokio::select! {
        _ = output.close() => {}
        // Nobody may be reading for long yet: what is told to end must end.
        () = async { stop.asked().await; sleep(LAST_WORDS).await } => {}
    }
    ending
}

/// Asks the container to end, and ends it after the grace. Never returns: its exit tells.
async fn bring_down(engine: &Engine, job: &Job, name: &str, stop: &Stop) {
    let signal = match engine.inspect(name).await {
        Ok(ContainerInspectResponse { config: Some(config), .. }) => config.stop_signal.filter(|s| !s.is_empty()),
        Ok(_) | Err(_) => None,
    };
    let kill_at = stop.since().unwrap_or_else(Instant::now) + job.grace;
    if !job.grace.is_zero() {
        // An engine that doesn't take the signal gets the next one.
        let _ = engine.signal(name, signal.as_deref().unwrap_or(STOP_SIGNAL)).await;
        sleep_until(kill_at.into()).await;
    }
    while engine.signal(name, "SIGKILL").await.is_err() {
        sleep(TRY_AGAIN).await;
    }
    pending::<()>().await;
}

/// When the container's first process has ended, what it has written is taken at any rate.
async fn let_rest_in(state: &Result<ContainerInspectResponse, Trouble>, rest: Rest) {
    let state = state.as_ref().ok().and_then(|found| found.state.as_ref());
    let pid = state.and_then(|state| Pid::from_raw(i32::try_from(state.pid?).ok()?));
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // SAFETY: an owned descriptor is open, and the same, until it is dropped.
    let process = process.map(|fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) });
    match process {
        Some(Ok(process)) => {
            let _ = process.readable().await;
        }
        Some(Err(_)) => pending().await,
        // It has ended already; or it isn't of this machine, and then the little that is let in is no harm.
        None => {}
    }
    rest.take();
    pending::<()>().await;
}

/// After the engine went away under a running container. `Some`: it has ended, with this code, which is beyond doubt.
/// `None`: it runs on. An error says why nobody knows.
async fn come_back(job: &Job, name: &str) -> Result<Option<i64>, String> {
    say("the Docker engine is away; waiting for it");
    let engine = reach(job, COME_BACK)
        .await
        .map_err(|_| format!("the Docker engine went away and did not come back within {} s", COME_BACK.as_secs()))?;
    let state = match engine.inspect(name).await {
        Ok(found) => found.state.unwrap_or_default(),
        Err(trouble) => return Err(format!("the Docker engine went away: {}", trouble.text())),
    };
    let ContainerState { running, exit_code, .. } = state;
    match (running, exit_code) {
        (Some(true), _) => {
            say("the Docker engine is back; what was written in between may be missing");
            Ok(None)
        }
        // An engine that starts ends what it finds running: any other code may be its own doing.
        (_, Some(0)) => Ok(Some(0)),
        (_, _) => Err("the Docker engine went away and took the container with it".to_owned()),
    }
}

/// Says so if that is what ended it.
async fn out_of_memory(engine: &Engine, job: &Job, name: &str, code: i64) {
    if code == 0 {
        return;
    }
    let Ok(ContainerInspectResponse { state: Some(state), .. }) = engine.inspect(name).await else { return };
    if state.oom_killed == Some(true) {
        let limit = match &job.run {
            DockerRun::Run(Container { limits: ContainerLimits { memory_bytes: Some(bytes), .. }, .. }) => {
                format!(" (its limit is {bytes} bytes)")
            }
            DockerRun::Run(_) | DockerRun::Start(_) | DockerRun::Stop(_) | DockerRun::Logs(_) => String::new(),
        };
        say(&format!("the container ran out of memory{limit}"));
    }
}

/// Nobody takes the output: the container must not outlive its attempt.
async fn unread(engine: &Engine, job: &Job, name: &str) -> Ending {
    let _ = engine.stop(name, job.grace).await;
    Ending::Stopped
}

/// Ends and removes the attempt's container; false if it may be left.
async fn remove(job: &Job, name: &str) -> bool {
    let removing = async {
        loop {
            let removed = match Engine::at(&job.socket) {
                Ok(engine) => engine.remove(name).await,
                Err(trouble) => Err(trouble),
            };
            match removed {
                Ok(()) => return,
                Err(_) => sleep(TRY_AGAIN).await,
            }
        }
    };
    timeout(REMOVE_WITHIN, removing).await.is_ok()
}
