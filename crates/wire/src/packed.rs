//! What travels in bulk – specs on their way in, and what is answered of each – encoded, as it came and as it goes on. Whoever
//! passes it on needn't build it again, and what it doesn't know of it stays.
//!
//! On the wire they are what the proto says: a message inside another is its bytes with their length before them.

use crate::v1;
use domain::{Error, Result, TraceContext};
use prost::Message as _;
use prost::bytes::Bytes;

/// `orchestrator.v1.SubmitTasksRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitTasksRequest {
    /// Each an encoded `TaskSpec`.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub tasks: Vec<Bytes>,
}

/// `orchestrator.v1.SubmitEntry`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitEntry {
    /// The id that the gateway drew.
    #[prost(string, tag = "1")]
    pub task_id: String,
    /// An encoded `TaskSpec`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub spec: Option<Bytes>,
    /// Who asked the gateway for it; empty if nobody had to say who he is.
    #[prost(string, tag = "3")]
    pub caller: String,
}

/// `orchestrator.v1.SubmitResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitResponse {
    /// Each an encoded `TaskAccepted`.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub tasks: Vec<Bytes>,
}

/// `orchestrator.v1.SubmitTasksResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SubmitTasksResponse {
    /// Each an encoded `TaskAccepted`.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub tasks: Vec<Bytes>,
}

impl From<Vec<v1::TaskAccepted>> for SubmitResponse {
    fn from(tasks: Vec<v1::TaskAccepted>) -> Self {
        Self { tasks: tasks.iter().map(|task| task.encode_to_vec().into()).collect() }
    }
}

impl SubmitTasksResponse {
    /// What is answered of each task.
    ///
    /// # Errors
    /// As [`unpack_accepted`].
    pub fn accepted(self) -> Result<Vec<v1::TaskAccepted>> {
        self.tasks.into_iter().map(unpack_accepted).collect()
    }
}

/// Decodes what is answered of a task.
///
/// # Errors
/// [`domain::Kind::Internal`]: the bytes are none.
pub fn unpack_accepted(accepted: Bytes) -> Result<v1::TaskAccepted> {
    v1::TaskAccepted::decode(accepted).map_err(|error| Error::internal(format!("no answer to a submit: {error}")))
}

impl From<Vec<v1::TaskSpec>> for SubmitTasksRequest {
    fn from(tasks: Vec<v1::TaskSpec>) -> Self {
        Self { tasks: tasks.iter().map(pack).collect() }
    }
}

/// Encodes a spec.
pub fn pack(spec: &v1::TaskSpec) -> Bytes {
    spec.encode_to_vec().into()
}

/// Decodes a spec.
///
/// # Errors
/// [`domain::Kind::Invalid`]: the bytes are none.
pub fn unpack(spec: Bytes) -> Result<v1::TaskSpec> {
    v1::TaskSpec::decode(spec).map_err(|error| Error::field("spec", format!("is no TaskSpec: {error}")))
}

/// The fields of a `TaskSpec` that say where it stands in a trace; said also when one is empty.
#[derive(Clone, PartialEq, prost::Message)]
struct Place {
    #[prost(string, required, tag = "80")]
    traceparent: String,
    #[prost(string, required, tag = "81")]
    tracestate: String,
}

/// The encoded spec with this place in a trace instead of its own: of a field that is there twice, the last one counts.
pub fn traced(spec: &Bytes, trace: TraceContext, state: String) -> Bytes {
    let place = Place { traceparent: trace.to_string(), tracestate: state };
    [&spec[..], &place.encode_to_vec()].concat().into()
}
