//! Compiles the protos in Rust (protox), so that neither protoc nor the network is needed.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = protox::compile(["orchestrator/v1/orchestrator.proto", "taskmanager/taskmanager.proto"], [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure()
        // Ordered, so that one message has one encoding: idempotency keys hash it.
        .btree_map(".")
        .extern_path(".orchestrator.v1.SubmitTasksRequest", "crate::packed::SubmitTasksRequest")
        .extern_path(".orchestrator.v1.SubmitTasksResponse", "crate::packed::SubmitTasksResponse")
        .extern_path(".orchestrator.v1.SubmitEntry", "crate::packed::SubmitEntry")
        .extern_path(".orchestrator.v1.SubmitResponse", "crate::packed::SubmitResponse")
        .bytes(".orchestrator.v1.OutputFrame.data")
        .bytes(".orchestrator.v1.OutputEvent.data")
        .bytes(".orchestrator.v1.OutputChunk.data")
        .compile_fds(files)?;
    Ok(())
}
