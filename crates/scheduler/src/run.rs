//! Run: a scheduler from its flags to its stop.

use crate::{
    DiskOptions, Options,
    check::{self, Over},
    core::Core,
    disk::Disk,
    enrol::Enrolling,
    gap::Receipts,
    grpc::Door,
    mailbox::mailbox,
    retention::Retention,
};
use crate::{scopes::SCOPES, story, tokens::Tokens, view::Views};
use domain::{Commit, limits};
use service::{Api, AuthMode, Fatal, Gate, Service, Stopping, auth::Audit};
use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};
use store::{Store as _, sqlite::SqliteStore, writer::Writer};
use tokio::sync::Notify;
use tonic::service::interceptor::InterceptedService;
use wire::v1::scheduler_server::SchedulerServer;

/// The audit log's name in the data directory.
const AUDIT_LOG: &str = "audit.log";

/// The scheduler's `main`: `args` begin with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options: Options = service::parse_from(args).unwrap_or_else(|error| error.exit());
    service::starts_no_programs();
    let common = options.common.clone();
    service::run(&common, |stopping| async move {
        run(options, stopping).await?;
        Service::say_stopped("Scheduler");
        Ok(())
    })
}

/// Who may call. What callers change is written down beside the data.
fn gate(auth: AuthMode, data_dir: &Path) -> Result<Gate, Fatal> {
    service::auth::begin();
    match auth {
        AuthMode::Off => Ok(Gate::default()),
        AuthMode::Tokens => Ok(Gate::new(None, Some(Audit::open(&data_dir.join(AUDIT_LOG))?))),
    }
}

/// Somebody must be able to be an administrator, where callers have to say who they are.
async fn first_tokens(tokens: &Tokens, gate: &Gate, data_dir: &Path) {
    if gate.is_on()
        && let Err(error) = tokens.first(data_dir).await
    {
        tracing::error!(%error, "The first tokens could not be made; it is tried again at the next start");
    }
}

/// Runs a scheduler until it is told to stop.
///
/// # Errors
/// What keeps it from starting: the address, the data directory, the store.
pub async fn run(options: Options, stopping: Stopping) -> service::Result<()> {
    let Options { listen, data_dir, lost_after, retention, auth, enrol_ca, disk, tls, common } = options;
    let DiskOptions { min_free_disk, ballast, accept_data_loss } = disk;
    let tls = tls.load()?;
    let enrolling = enrol_ca.map(|dir| Enrolling::open(&dir, &tls, auth).map(Arc::new)).transpose()?;
    // The store first: it locks the directory, and a second scheduler should hear of that, not of its port.
    let store = SqliteStore::with_ballast(&data_dir, ballast).map_err(|error| Fatal::new(error.to_string()))?;
    let (reader, ballast) = (store.reader(), store.ballast());
    let writer = Writer::start(Box::new(store))?;
    let gate = gate(auth, &data_dir)?;
    let service = Service::listen("Scheduler", listen, true, &common, &tls, gate.is_on()).await?;
    let service = service.gated(gate.clone());
    crate::gauges::begin();
    let readiness = service.readiness();
    readiness.waiting("store", "the store is being opened");
    let (handle, messages) = mailbox();
    let (views, view) = Views::new();
    let disk = Disk::new(&data_dir, min_free_disk, ballast, readiness.clone());
    let (story, telling) = story::start(&data_dir, Arc::clone(&reader), Arc::clone(&disk), handle.clone())?;
    let over = Over::default();
    check::start(&data_dir, readiness.clone(), over.clone())?;
    let receipts = Receipts::default();
    let tokens = Tokens::load(handle.clone(), Arc::clone(&reader), gate.clone())?;
    let deleted = Arc::new(Notify::new());
    let sweeping = story.clone().sweep(Arc::clone(&deleted));
    let core = Core {
        writer,
        messages,
        story: story.clone(),
        views,
        lost_after,
        retention: Retention::new(retention, Arc::clone(&deleted), over),
        receipts: receipts.clone(),
        accepted: accept_data_loss.map(Commit),
        readiness: readiness.clone(),
        stopping: stopping.clone(),
        tracer: service.tracer(),
    };
    let watching = tokio::spawn(Arc::clone(&disk).watch());
    let door = Door {
        mailbox: handle,
        reader,
        story,
        views: view,
        disk,
        receipts: receipts.clone(),
        tokens: tokens.clone(),
        enrolling,
        readiness,
        stopping: stopping.clone(),
        tracer: service.tracer(),
    };
    let checked = receipts.clone();
    let server = SchedulerServer::new(door)
        .max_decoding_message_size(limits::MESSAGE_BYTES)
        .max_encoding_message_size(limits::MESSAGE_BYTES);
    let server = InterceptedService::new(server, move |call| checked.checked(call));
    let looping = tokio::spawn(core.run());
    let telling = tokio::spawn(telling);
    let sweeping = tokio::spawn(sweeping);
    first_tokens(&tokens, &gate, &data_dir).await;
    let expiring = tokio::spawn(async move { gate.watch().await });
    service.serve(Api::new(wire::DESCRIPTOR).rows(SCOPES).serving(server), &stopping).await?;
    expiring.abort();
    looping.await?;
    watching.abort();
    sweeping.abort();
    telling.abort();
    Ok(())
}
