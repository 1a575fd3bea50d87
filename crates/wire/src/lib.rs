//! The wire: generated protobuf and the only conversions between it and `domain`.
//!
//! Must never decide anything: it checks form (ids, ranges, enums) and translates.

/// Generated from `proto/orchestrator/v1`.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod v1 {
    tonic::include_proto!("orchestrator.v1");
}

/// The compiled descriptor set, for reflection and for the compatibility check.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
