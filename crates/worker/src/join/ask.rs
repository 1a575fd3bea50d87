//! The two questions of who joins: which CA is it, to anybody who answers; and for a certificate, to the one who is known by it.

use crate::transport::{Scheduler, Target, said};
use service::{Bearer, Fatal, Secret, Tls};
use std::{fmt, time::Duration};
use tonic::{Code, Status};
use wire::v1;

/// Whoever hasn't answered by then won't.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where the scheduler is.
pub(super) struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Place {
    /// # Errors
    /// [`Fatal`] if it isn't a URL with `https://`.
    pub fn parse(url: &str) -> Result<Self, Fatal> {
        let place = Self(url.to_owned());
        place.target(&Tls::off(), Bearer::default())?;
        Ok(place)
    }

    fn target(&self, tls: &Tls, bearer: Bearer) -> Result<Target, Fatal> {
        let wrong = || {
            Fatal::new(format!("{self} is not a URL such as https://scheduler.example.org:50052"))
                .hint("a worker joins over TLS only; the port is the scheduler's")
        };
        if !self.0.starts_with("https://") {
            return Err(wrong());
        }
        Ok(Target::parse(&self.0, tls).map_err(|_| wrong())?.with(bearer))
    }

    async fn open(&self, tls: &Tls, bearer: Bearer) -> Result<Scheduler, Fatal> {
        let connected = tokio::time::timeout(ANSWER_WITHIN, self.target(tls, bearer)?.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        connected.map_err(|why| Fatal::new(format!("cannot join at {self}: {why}")))
    }

    async fn answer<T>(&self, call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Fatal> {
        match tokio::time::timeout(ANSWER_WITHIN, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.refused(&status)),
            Err(_) => Err(Fatal::new(format!("cannot join at {self}: it does not answer"))),
        }
    }

    fn refused(&self, status: &Status) -> Fatal {
        let fatal = Fatal::new(format!("cannot join at {self}: {}", said(status)));
        match status.code() {
            Code::Unauthenticated | Code::AlreadyExists => {
                fatal.hint("another token: baton token create --name NAME --scope enrol")
            }
            Code::Unimplemented => {
                Fatal::new(format!("cannot join at {self}: that is no scheduler which workers can join"))
                    .hint("a scheduler's port is 50052 unless it was told another; 50051 is a gateway's")
            }
            _ => fatal,
        }
    }
}

/// The CA, in PEM, from whoever answers: it is the one whose certificate has this SHA-256.
pub(super) async fn authority(place: &Place, hash: [u8; 32]) -> Result<String, Fatal> {
    let anybody = Tls::of_anybody().map_err(|error| Fatal::new(error.to_string()))?;
    let mut scheduler = place.open(&anybody, Bearer::default()).await?;
    let v1::GetCaResponse { certificate } = place.answer(scheduler.get_ca(v1::GetCaRequest {})).await?;
    let found = tls::fingerprint(&certificate)
        .map_err(|error| Fatal::new(format!("cannot join at {place}: its CA's certificate: {error}")))?;
    if found != hash {
        return Err(Fatal::new(format!("{place} is not the scheduler that the token is for: its CA is another one"))
            .hint("either the URL is wrong, or somebody is in between; the token was not sent"));
    }
    Ok(certificate)
}

/// The certificate, in PEM, for a token: only from a scheduler whose own is from this CA.
pub(super) async fn certificate(
    place: &Place,
    authority: &str,
    token: &Secret,
    worker: &str,
    request: String,
) -> Result<String, Fatal> {
    let known = Tls::trusting(authority).map_err(|error| Fatal::new(format!("the CA of {place}: {error}")))?;
    let mut scheduler = place.open(&known, Bearer::of(token)).await?;
    let request = v1::EnrolWorkerRequest { worker_id: worker.to_owned(), certificate_request: request };
    let v1::EnrolWorkerResponse { certificate, ca: _ } = place.answer(scheduler.enrol_worker(request)).await?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_joins_without_tls() {
        assert!(Place::parse("https://scheduler.example.org:50052").is_ok());
        for bad in ["", "http://127.0.0.1:50052", "127.0.0.1:50052", "https://", "HTTPS"] {
            assert!(Place::parse(bad).is_err_and(|fatal| fatal.to_string().contains("is not a URL")), "{bad}");
        }
    }
}
