//! What each route and RPC needs. What has no row is refused.

use axum::http::Method;
use domain::Scope;
use std::collections::HashMap;

/// What a call needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing: it says nothing that a stranger may not know.
    Open,
    /// A caller that is known, whatever it may do.
    Known,
    /// A caller with this scope.
    Scope(Scope),
    /// A caller with both scopes.
    Both(Scope, Scope),
}

impl Need {
    /// The scopes that a caller needs, all of them.
    pub fn scopes(self) -> impl Iterator<Item = Scope> {
        let (one, other) = match self {
            Self::Open | Self::Known => (None, None),
            Self::Scope(scope) => (Some(scope), None),
            Self::Both(one, other) => (Some(one), Some(other)),
        };
        one.into_iter().chain(other)
    }
}

/// A route or an RPC, and what it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Of a route: GET (HEAD is the same), POST or DELETE. Of an RPC empty.
    pub method: &'static str,
    /// `/tasks/{id}`, or `/package.Service/Method`.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// Whether it changes anything: then each call is written into the audit log.
    pub changes: bool,
}

impl Row {
    /// An RPC.
    pub const fn rpc(path: &'static str, need: Need) -> Self {
        Self { method: "", path, need, changes: false }
    }

    /// A route.
    pub const fn route(method: &'static str, path: &'static str, need: Need) -> Self {
        Self { method, path, need, changes: false }
    }

    /// The same, of a call that changes something.
    #[must_use]
    pub const fn changing(self) -> Self {
        Self { changes: true, ..self }
    }
}

/// What every port of every service answers beside its own.
pub const EVERYWHERE: &[Row] = &[
    Row::route("GET", "/healthz", Need::Open),
    Row::route("GET", "/readyz", Need::Open),
    Row::route("GET", "/metrics", Need::Scope(Scope::Read)),
    Row::rpc("/grpc.health.v1.Health/Check", Need::Open),
    Row::rpc("/grpc.health.v1.Health/Watch", Need::Open),
    Row::rpc("/grpc.health.v1.Health/List", Need::Open),
    Row::rpc("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Need::Scope(Scope::Read)),
    Row::rpc("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Need::Scope(Scope::Read)),
];

/// Rows, to be looked up by what the router matched.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rpcs: HashMap<&'static str, &'static Row>,
    routes: HashMap<&'static str, Vec<&'static Row>>,
}

/// What was found for a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Row(&'static Row),
    /// The route has other methods.
    OtherMethods,
    Nothing,
}

impl Rows {
    pub(super) fn new(tables: &[&'static [Row]]) -> Self {
        let mut rows = Self::default();
        for row in tables.iter().copied().flatten() {
            if row.method.is_empty() {
                rows.rpcs.insert(row.path, row);
            } else {
                rows.routes.entry(row.path).or_default().push(row);
            }
        }
        rows
    }

    /// `matched` is the router's pattern, not what the caller wrote: so no spelling of a path leads to another row than to
    /// the handler that answers. All methods of a gRPC service are one pattern; there the service compares the whole path,
    /// byte by byte, as is done here.
    pub(super) fn find(&self, method: &Method, matched: &str, path: &str) -> Found {
        if matched.ends_with("/{*rest}") {
            return self.rpcs.get(path).map_or(Found::Nothing, |row| Found::Row(row));
        }
        let Some(methods) = self.routes.get(matched) else { return Found::Nothing };
        let asked = if *method == Method::HEAD { "GET" } else { method.as_str() };
        methods.iter().find(|row| row.method == asked).map_or(Found::OtherMethods, |row| Found::Row(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Need = Need::Scope(Scope::Read);

    #[test]
    fn what_has_no_row_is_not_found() {
        const OWN: &[Row] = &[Row::route("GET", "/tasks/{id}", READ), Row::rpc("/a.B/C", Need::Open).changing()];
        let rows = Rows::new(&[OWN, EVERYWHERE]);
        let find = |method: Method, matched: &str, path: &str| rows.find(&method, matched, path);
        assert_eq!(find(Method::GET, "/tasks/{id}", "/tasks/a%2fb"), Found::Row(&OWN[0]));
        assert_eq!(find(Method::HEAD, "/tasks/{id}", "/tasks/x"), Found::Row(&OWN[0]));
        assert_eq!(find(Method::PUT, "/tasks/{id}", "/tasks/x"), Found::OtherMethods);
        assert_eq!(find(Method::GET, "/other", "/tasks/x"), Found::Nothing);
        assert_eq!(find(Method::POST, "/a.B/{*rest}", "/a.B/C"), Found::Row(&OWN[1]));
        for path in ["/a.B/D", "/a.B/C/", "/a.B//C", "/a.B/%43"] {
            assert_eq!(find(Method::POST, "/a.B/{*rest}", path), Found::Nothing, "{path}");
        }
    }
}
