//! What each RPC of the scheduler needs of its caller. Workers come here, and gateways, who judged their callers already.

use domain::Scope;
use service::auth::{Need, Row};

const SERVICE: Need = Need::Scope(Scope::Service);
const WORKER: Need = Need::Scope(Scope::Worker);

/// All of them; a test compares it with the proto.
pub const SCOPES: &[Row] = &[
    // Written down once it is known who it is.
    Row::rpc("/orchestrator.v1.Scheduler/RegisterWorker", WORKER),
    Row::rpc("/orchestrator.v1.Scheduler/StreamOutput", WORKER),
    Row::rpc("/orchestrator.v1.Scheduler/Submit", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/Run", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/GetTask", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/ListTasks", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/CancelTask", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/CancelTasks", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/Retry", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/ExplainTask", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/WatchTask", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/ReadOutput", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/ListWorkers", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/DrainWorker", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/ForgetWorker", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/ListQueues", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/PauseQueue", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/ResolveTask", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/CreateToken", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/ListTokens", SERVICE),
    Row::rpc("/orchestrator.v1.Scheduler/RevokeToken", SERVICE).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/WatchTokens", SERVICE),
    // The CA is no secret, and who joins has nothing yet by which he could be known.
    Row::rpc("/orchestrator.v1.Scheduler/GetCa", Need::Open),
    Row::rpc("/orchestrator.v1.Scheduler/EnrolWorker", Need::Scope(Scope::Enrol)).changing(),
    Row::rpc("/orchestrator.v1.Scheduler/HealthCheck", Need::Open),
];
