//! The wire: generated protobuf and the only conversions between it and `domain`.
//!
//! Must never decide anything: it checks form (ids, ranges, enums) and translates.

mod array;
mod bulk;
mod docker;
mod error;
mod event;
mod explain;
mod output;
mod packed;
mod page;
mod resume;
mod run;
mod spec;
mod status;
mod task;
mod token;
pub mod worker;

pub use array::v1_queue;
pub use bulk::{cancel_filter, queue_name, worker_id};
pub use error::{error, http_status, status};
pub use event::{ProgressView, output_event, state_event};
pub use explain::v1_explained;
pub use output::{chunk, stream_name};
pub use packed::{pack, traced, unpack, unpack_accepted};
pub use page::{page_request, page_response};
pub use resume::{Resume, broken, unsent};
pub use spec::{check_spec, spec};
pub use status::{task_status, words_of};
pub use task::{retry_ids, submit_entry, task_id, v1_task};
pub use token::{new_token, token, token_id, v1_token, v1_token_record};

/// Generated from `proto/orchestrator/v1`.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod v1 {
    pub use crate::packed::{SubmitEntry, SubmitResponse, SubmitTasksRequest, SubmitTasksResponse};
    tonic::include_proto!("orchestrator.v1");
}

/// Generated from `proto/taskmanager`.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod taskmanager {
    tonic::include_proto!("taskmanager");
}

/// The compiled descriptor set, for reflection and for the compatibility check.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
