//! Workers join: which CA it is, and a certificate for a token.

use super::Door;
use crate::enrol::{Enrolling, Joiner};
use domain::{Error, Kind, Result, TokenId, WorkerId, WorkerStatus};
use service::ca;
use wire::v1;

/// A request with a large key has some kilobytes.
const REQUEST_BYTES: usize = 16 * 1024;

pub(super) fn authority(door: &Door) -> Result<v1::GetCaResponse> {
    Ok(v1::GetCaResponse { certificate: enrolling(door)?.authority.certificate().to_owned() })
}

/// First it is durable whose token it is, then the certificate is made: an answer that is lost is asked for again.
pub(super) async fn enrol(
    door: &Door,
    token: Option<TokenId>,
    request: v1::EnrolWorkerRequest,
) -> Result<v1::EnrolWorkerResponse> {
    let authority = &enrolling(door)?.authority;
    let v1::EnrolWorkerRequest { worker_id, certificate_request: request } = request;
    let worker = WorkerId::new(&worker_id);
    worker.check()?;
    if request.len() > REQUEST_BYTES {
        return Err(Error::field("certificate_request", format!("is over {REQUEST_BYTES} bytes")));
    }
    let token = token.ok_or_else(|| Error::new(Kind::Precondition, "a certificate is no token for joining"))?;
    let wrong = |why: service::Fatal| Error::field("certificate_request", why.to_string());
    let key = ca::requested_key(&request).map_err(wrong)?;
    let there = |status: WorkerStatus| match status {
        WorkerStatus::Connected | WorkerStatus::Draining => true,
        WorkerStatus::Disconnected => false,
    };
    let in_contact =
        door.views.borrow().snapshot.workers.iter().any(|known| known.hello.worker == worker && there(known.status));
    door.tokens.enrol(token, Joiner { worker: worker.as_str(), key, in_contact }).await?;
    let certificate = authority.sign_worker(&request, worker.as_str()).map_err(wrong)?;
    tracing::info!(%token, %worker, "Worker joined");
    Ok(v1::EnrolWorkerResponse { certificate, ca: authority.certificate().to_owned() })
}

/// Whether an error says that somebody may not join, and not that it couldn't be done now.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Precondition | Kind::Unauthenticated | Kind::Denied => {
            true
        }
        Kind::Exhausted | Kind::Unavailable | Kind::Unknown | Kind::DataLoss | Kind::Internal => false,
    }
}

fn enrolling(door: &Door) -> Result<&Enrolling> {
    let none = || Error::new(Kind::Precondition, "nobody can join here: this scheduler was started without --enrol-ca");
    door.enrolling.as_deref().ok_or_else(none)
}
