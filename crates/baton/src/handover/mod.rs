//! Handing tasks over to the gateway: one, or as many as a file holds.
//!
//! A thread reads the file and cuts it into batches; a few calls at a time carry them; ids come out in the order of the file.
//! Every queue in between is bounded: a file may be larger than memory.

mod batch;
mod check;
mod entry;
mod json;
mod lines;
mod repeat;
mod source;
mod values;
mod window;

pub use entry::HELP;
pub use json::{Json, Rules};
pub use lines::Lines;
pub use repeat::{run, submit};
pub use source::{Source, is_stdin};
pub use window::send_all;
