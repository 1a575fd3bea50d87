//! What one port serves: gRPC services, with health and reflection beside them, or plain HTTP.

use crate::{
    Fatal,
    auth::{self, Gate, Guarded, Row},
};
use std::convert::Infallible;
use tonic::{body::Body, server::NamedService, service::Routes};
use tonic_health::server::{HealthReporter, health_reporter};

/// Gathers the services of a port.
#[derive(Clone, Debug)]
pub struct Api {
    routes: Routes,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    /// What each RPC needs of its caller. One without a row is refused as soon as callers have to say who they are.
    rows: &'static [Row],
    /// Without gRPC: these routes alone.
    plain: Option<Guarded>,
}

impl Api {
    /// `descriptor` is the encoded descriptor set of the services to come, for reflection.
    pub fn new(descriptor: &'static [u8]) -> Self {
        Self { routes: Routes::default(), names: Vec::new(), descriptors: vec![descriptor], rows: &[], plain: None }
    }

    /// What each RPC of the services needs of its caller.
    #[must_use]
    pub fn rows(self, rows: &'static [Row]) -> Self {
        Self { rows, ..self }
    }

    /// A port without gRPC. What has a route and not the method is the router's own to answer.
    pub fn plain(routes: Guarded) -> Self {
        let plain = Some(routes);
        Self { routes: Routes::default(), names: Vec::new(), descriptors: Vec::new(), rows: &[], plain }
    }

    /// Serves this as well. Its message limits are the service's own to set.
    #[must_use]
    pub fn serving<S>(mut self, service: S) -> Self
    where
        S: tower::Service<axum::http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// All routes, health and reflection included, with what sets the health of the services.
    pub(crate) fn finish(self, gate: &Gate) -> Result<(axum::Router, Health), Fatal> {
        let (reporter, health) = health_reporter();
        if let Some(Guarded(plain)) = self.plain {
            return Ok((plain, Health { reporter, names: self.names }));
        }
        let mut routes = self.routes.add_service(health);
        let builder = || {
            let mut builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name("grpc.health.v1.Health");
            for descriptor in &self.descriptors {
                builder = builder.register_encoded_file_descriptor_set(descriptor);
            }
            self.names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let broken = |error| Fatal::new(format!("reflection: {error}"));
        // Clients of either generation look for their own.
        routes = routes.add_service(builder().build_v1().map_err(broken)?);
        routes = routes.add_service(builder().build_v1alpha().map_err(broken)?);
        let routes = auth::guarded(routes.into_axum_router(), gate, self.rows).0;
        Ok((routes, Health { reporter, names: self.names }))
    }
}

/// What `grpc.health.v1` answers.
pub(crate) struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
}

impl Health {
    pub(crate) async fn set(&self, ready: bool) {
        let status = if ready { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
        for name in self.names.iter().copied().chain([""]) {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
