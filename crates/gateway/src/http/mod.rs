//! HTTP: decode, call, encode. JSON for calls, server-sent events for what goes on (docs/http.md).
//!
//! Must never know more than gRPC does: each handler calls the same verb of `app`.

mod docker;
mod events;
mod extract;
mod openapi;
mod output;
mod queues;
mod refusal;
mod spec;
mod story;
mod stream;
mod submit;
mod task;
mod tasks;
mod words;
mod workers;

use crate::{HTTP_SCOPES, app::App, call};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, Method, header},
    routing::get,
};
use service::{
    Gate,
    auth::{Guarded, guarded},
};
use std::sync::Arc;
use tower::layer::layer_fn;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What every handler has.
type Shared = Arc<App>;

/// All routes, with what they look like.
fn described() -> (Router<Shared>, utoipa::openapi::OpenApi) {
    let (router, api) = OpenApiRouter::with_openapi(openapi::Head::openapi())
        .routes(routes!(submit::shell))
        .routes(routes!(docker::docker))
        .routes(routes!(submit::submit, tasks::list))
        .routes(routes!(submit::batch))
        .routes(routes!(tasks::get, tasks::cancel))
        .routes(routes!(tasks::retry))
        .routes(routes!(tasks::explain))
        .routes(routes!(output::read))
        .routes(routes!(events::follow))
        .routes(routes!(stream::follow))
        .routes(routes!(workers::agents))
        .routes(routes!(tasks::of_agent))
        .routes(routes!(submit::agent_shell))
        .routes(routes!(workers::list))
        .routes(routes!(workers::drain))
        .routes(routes!(workers::undrain))
        .routes(routes!(queues::list))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .split_for_parts();
    (router, openapi::with_refusals(api))
}

/// The OpenAPI document of the HTTP port, as `/openapi.json` answers it.
pub fn openapi() -> String {
    text(&described().1)
}

fn text(api: &utoipa::openapi::OpenApi) -> String {
    // Texts, lists and maps of texts: nothing in it can fail to be JSON.
    api.to_pretty_json().unwrap_or_default()
}

/// The routes of the HTTP port.
pub(crate) fn routes(app: Shared, gate: &Gate) -> Guarded {
    let (router, api) = described();
    let api = Bytes::from(text(&api));
    let router = router
        .route(
            "/openapi.json",
            get(move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], api.clone()))),
        )
        .method_not_allowed_fallback(service::wrong_method)
        .layer(layer_fn(call::Keeping))
        .with_state(app);
    // Outside of the gate: a page of an allowed origin may read why it was refused.
    guarded(router, gate, HTTP_SCOPES).behind(|router| router.layer(cors()))
}

/// Which origins may call at all is decided before (`--allow-origin`): those that come here may read the answers too.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::ALLOW, header::RETRY_AFTER, HeaderName::from_static(call::RECEIPT)])
        .max_age(std::time::Duration::from_secs(3600))
}
