//! The gate before a router: each call is looked up by what the router matched, admitted or refused, and written down.

use super::{
    Audit, Caller, EVERYWHERE, Gate, Inner, Need, Note, Row,
    answer::Refused,
    audit::{Did, Later},
    rows::{Found, Rows},
};
use crate::{Peer, http, stop_body::StopBody};
use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method},
    middleware::{self, Next},
    response::Response,
};
use std::sync::Arc;

/// Who a gateway says it asks for: believed only of those who speak for others.
pub(super) const ON_BEHALF: &str = "baton-caller";

/// A router behind a gate: the only sort that a port without gRPC takes.
#[derive(Clone, Debug)]
pub struct Guarded(pub(crate) Router);

impl Guarded {
    /// Adds what is outside of the gate and answers nothing of ours, such as CORS.
    #[must_use]
    pub fn behind(self, outside: impl FnOnce(Router) -> Router) -> Self {
        Self(outside(self.0))
    }
}

/// Puts a gate before all routes there are. What has no row is refused. With the gate off nothing is added.
pub fn guarded(router: Router, gate: &Gate, rows: &'static [Row]) -> Guarded {
    let Some(inner) = gate.0.clone() else { return Guarded(router) };
    let before = Arc::new(Before { inner, rows: Rows::new(&[rows, EVERYWHERE]) });
    Guarded(router.route_layer(middleware::from_fn(move |request: Request, next: Next| {
        let before = Arc::clone(&before);
        async move { before.pass(request, next).await }
    })))
}

struct Before {
    inner: Arc<Inner>,
    rows: Rows,
}

/// A call, as far as it is written down.
struct Told {
    method: String,
    peer: Option<Peer>,
    on_behalf: Option<String>,
    grpc: bool,
    changes: bool,
}

impl Told {
    fn peer_text(&self) -> String {
        self.peer.as_ref().map(|peer| peer.addr.to_string()).unwrap_or_default()
    }
}

impl Before {
    async fn pass(&self, mut request: Request, next: Next) -> Response {
        // Asked by browsers before a call, without a token; no handler of ours answers it.
        if request.method() == Method::OPTIONS {
            return next.run(request).await;
        }
        let (need, told) = self.look(&request);
        let admitted = need.and_then(|need| self.inner.admit(need, request.headers(), told.peer.as_ref()));
        let caller = match admitted {
            Ok(None) => return next.run(request).await,
            Ok(Some(caller)) => caller,
            Err(refused) => return self.refuse(&told, &refused),
        };
        let note = Note::new(self.inner.audit.as_ref().map(|audit| self.later(audit, &told, &caller)));
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(note.clone());
        let response = next.run(request).await;
        if let Some(audit) = self.inner.audit.as_ref().filter(|_| told.changes) {
            self.write(audit, &told, &caller, &note, outcome(&response));
        }
        until(response, &caller, told.grpc)
    }

    fn found(&self, request: &Request) -> Found {
        let Some(matched) = request.extensions().get::<MatchedPath>() else { return Found::Nothing };
        self.rows.find(request.method(), matched.as_str(), request.uri().path())
    }

    /// What the call needs, and what is told of it. Whoever asks for what isn't there has to be known all the same.
    fn look(&self, request: &Request) -> (Result<Need, Refused>, Told) {
        let found = self.found(request);
        let (need, changes) = match found {
            Found::Row(row) => (Ok(row.need), row.changes),
            // Leads to no handler, but to the answer which methods there are.
            Found::OtherMethods => (Ok(Need::Known), false),
            Found::Nothing => (Err(Refused::Nothing), false),
        };
        let grpc = http::is_grpc(request.headers());
        let path = request.uri().path();
        let method = if grpc { path.to_owned() } else { format!("{} {path}", request.method()) };
        let on_behalf = request.headers().get(ON_BEHALF).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        (need, Told { method, peer: request.extensions().get::<Peer>().cloned(), on_behalf, grpc, changes })
    }

    fn refuse(&self, told: &Told, refused: &Refused) -> Response {
        metrics::counter!("baton_calls_refused_total", "reason" => refused.word()).increment(1);
        let peer = told.peer_text();
        if matches!(refused, Refused::Unauthenticated(_) | Refused::Denied(_)) {
            tracing::warn!(peer, call = told.method, reason = refused.word(), "Call refused");
            if let Some(audit) = &self.inner.audit {
                audit.refused(&peer, &told.method, refused.word(), &refused.text());
            }
        }
        refused.answer(told.grpc)
    }

    fn later(&self, audit: &Audit, told: &Told, caller: &Caller) -> Later {
        let name = caller.token().and_then(|token| self.inner.name(token));
        let (audit, who, method) = (audit.clone(), caller.text().to_owned(), told.method.clone());
        Later { audit, who, name, peer: told.peer_text(), method }
    }

    fn write(&self, audit: &Audit, told: &Told, caller: &Caller, note: &Note, outcome: &str) {
        let peer = told.peer_text();
        let name = caller.token().and_then(|token| self.inner.name(token));
        let named = |who: &str| {
            let id = who.strip_prefix("token:").and_then(|id| id.parse().ok());
            id.and_then(|id| self.inner.name(id))
        };
        let on_behalf = told.on_behalf.as_deref().filter(|_| caller.speaks_for_others());
        let refusal = note.refusal();
        let outcome = if refusal.is_some() { "refused" } else { outcome };
        for (target, on_behalf) in note.targets(on_behalf, caller.speaks_for_others()) {
            let other = on_behalf.as_deref().and_then(named);
            audit.did(&Did {
                who: caller.text(),
                name: name.as_deref(),
                on_behalf: on_behalf.as_deref(),
                on_behalf_name: other.as_deref(),
                peer: &peer,
                method: &told.method,
                target: &target,
                outcome,
                detail: refusal.as_deref(),
            });
        }
    }
}

/// How a call ended, as far as its head says: what is wrong with a call stands there.
fn outcome(response: &Response) -> &'static str {
    match response.headers().get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"0") => "ok",
        Some(_) => "error",
        None if response.status().is_success() => "ok",
        None => "error",
    }
}

/// The answer, as long as its caller's token is good for anything.
fn until(response: Response, caller: &Caller, grpc: bool) -> Response {
    let ends = caller.ends();
    response.map(|body: Body| Body::new(StopBody::because(body, ends, grpc, revoked)))
}

fn revoked() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("16"));
    trailers.insert("baton-kind", HeaderValue::from_static("unauthenticated"));
    trailers.insert("grpc-message", HeaderValue::from_static("the token was revoked or has expired"));
    trailers
}
