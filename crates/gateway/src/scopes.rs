//! What each RPC and route of the gateway needs of its caller. Who may do what with which task beyond that: `app/reach`.

use domain::Scope;
use service::auth::{Need, Row};

const SUBMIT: Need = Need::Scope(Scope::Submit);
const READ: Need = Need::Scope(Scope::Read);
/// Hands a task over, and looks at it.
const RUN: Need = Need::Both(Scope::Submit, Scope::Read);
const ADMIN: Need = Need::Scope(Scope::Admin);

/// All RPCs; a test compares them with the proto.
pub const RPC_SCOPES: &[Row] = &[
    Row::rpc("/orchestrator.v1.Gateway/SubmitTask", SUBMIT).changing(),
    Row::rpc("/orchestrator.v1.Gateway/SubmitTasks", SUBMIT).changing(),
    Row::rpc("/orchestrator.v1.Gateway/RunTask", RUN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/SubscribeProgress", READ),
    Row::rpc("/orchestrator.v1.Gateway/GetTask", READ),
    Row::rpc("/orchestrator.v1.Gateway/ListTasks", READ),
    Row::rpc("/orchestrator.v1.Gateway/CancelTask", SUBMIT).changing(),
    Row::rpc("/orchestrator.v1.Gateway/CancelTasks", SUBMIT).changing(),
    Row::rpc("/orchestrator.v1.Gateway/RetryTask", SUBMIT).changing(),
    Row::rpc("/orchestrator.v1.Gateway/ExplainTask", READ),
    Row::rpc("/orchestrator.v1.Gateway/WatchTask", READ),
    Row::rpc("/orchestrator.v1.Gateway/ReadOutput", READ),
    Row::rpc("/orchestrator.v1.Gateway/ListWorkers", READ),
    Row::rpc("/orchestrator.v1.Gateway/DrainWorker", ADMIN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/ForgetWorker", ADMIN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/ListQueues", READ),
    Row::rpc("/orchestrator.v1.Gateway/PauseQueue", ADMIN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/ResolveTask", READ),
    Row::rpc("/orchestrator.v1.Gateway/CreateToken", ADMIN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/ListTokens", ADMIN),
    Row::rpc("/orchestrator.v1.Gateway/RevokeToken", ADMIN).changing(),
    Row::rpc("/orchestrator.v1.Gateway/HealthCheck", Need::Open),
    Row::rpc("/taskmanager.TaskManager/SubmitTask", SUBMIT).changing(),
    Row::rpc("/taskmanager.TaskManager/CheckTaskStatus", READ),
    Row::rpc("/taskmanager.TaskManager/StreamTaskStatus", READ),
];

/// All routes of the HTTP port; a test compares them with the OpenAPI document.
pub const HTTP_SCOPES: &[Row] = &[
    Row::route("POST", "/tasks", SUBMIT).changing(),
    Row::route("GET", "/tasks", READ),
    Row::route("POST", "/tasks/batch", SUBMIT).changing(),
    Row::route("POST", "/tasks/shell", SUBMIT).changing(),
    Row::route("POST", "/tasks/docker", SUBMIT).changing(),
    Row::route("GET", "/tasks/{id}", READ),
    Row::route("DELETE", "/tasks/{id}", SUBMIT).changing(),
    Row::route("POST", "/tasks/{id}/retry", SUBMIT).changing(),
    Row::route("GET", "/tasks/{id}/explain", READ),
    Row::route("GET", "/tasks/{id}/output", READ),
    Row::route("GET", "/tasks/{id}/events", READ),
    Row::route("GET", "/stream", READ),
    Row::route("GET", "/agents", READ),
    Row::route("GET", "/agents/{id}/tasks", READ),
    Row::route("POST", "/agents/{id}/shell", SUBMIT).changing(),
    Row::route("GET", "/workers", READ),
    Row::route("POST", "/workers/{id}/drain", ADMIN).changing(),
    Row::route("POST", "/workers/{id}/undrain", ADMIN).changing(),
    Row::route("GET", "/queues", READ),
    Row::route("POST", "/queues/{name}/pause", ADMIN).changing(),
    Row::route("POST", "/queues/{name}/resume", ADMIN).changing(),
    Row::route("GET", "/openapi.json", Need::Open),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_documented_route_has_a_row_and_every_row_a_route() {
        let api: serde_json::Value = serde_json::from_str(&crate::openapi()).unwrap();
        let mut documented = BTreeSet::from(["GET /openapi.json".to_owned()]);
        for (path, methods) in api["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
            documented.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        let rows: BTreeSet<String> = HTTP_SCOPES.iter().map(|row| format!("{} {}", row.method, row.path)).collect();
        assert_eq!(rows, documented);
    }
}
