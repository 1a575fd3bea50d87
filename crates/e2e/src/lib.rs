//! The harness of the tests against the real binaries: it starts, kills, restarts and sweeps them.
//!
//! Must never simulate anything: what it starts are the programs that users start, talking over real sockets.

mod binaries;
pub mod chaos;
mod cluster;
mod commands;
mod engine;
mod failing_sync;
pub mod http;
mod measure;
mod network;
mod noop;
mod patience;
mod process;
mod rates;
mod small_disk;
mod sweep;
mod tasks;

pub use binaries::{binary, example};
pub use cluster::{Cluster, connected};
pub use commands::{Gate, accepted, json, ran, said, witness};
pub use engine::{Engine, IMAGE};
pub use failing_sync::{SyncScript, failing_sync};
pub use http::http_get;
pub use measure::{directory_mib, memory_mib, metric, metrics, ms, percentile};
pub use network::own_network;
pub use noop::{noop_worker, start_noop_worker};
pub use patience::{PATIENCE, eventually, skip};
pub use process::Process;
pub use rates::{cpu_seconds, latency, submit_all, throughput};
pub use small_disk::SmallDisk;
pub use sweep::{alive_under, sweep};
pub use tasks::{Gateway, argv, away, finished, finished_with_output, handler, output_of, shell, story};
