//! One task as `--from-json` reads it: the form is defined here, and told in [`HELP`].

mod base64;
mod form;
mod spec;

pub use form::Entry;

/// The form of a file of tasks, as `submit --help` shows it.
pub const HELP: &str = r#"Files of tasks (--from-json): one JSON list of entries, or one entry a line. An entry is
  {"command": "convert a.png a.jpg"}            a line for the shell, or
  {"args": ["convert", "a.png", "a.jpg"]}       a program and its arguments, no shell, or
  {"handler": "resize", "payload": {"w": 9}}    a handler's task; what is no string is
                                                passed as JSON, or
  {"docker": {"image": "busybox"}}              a container; it may say command ["ls", "-l"], env,
                                                memory_bytes, cpu_millis, pids, working_dir
and may say name, description, env {NAME: VALUE}, working_dir, stdin, queue, priority,
timeout "5m", retries, on_lost "wait", worker, labels {KEY: VALUE}, idempotency_key, array "1-1000",
run_at "2026-01-31T06:00:00Z" or delay "10m"; for bytes that are no text payload_base64,
stdin_base64. The fields of the protocol's TaskSpec are understood as well: shell {command,
args, working_dir, env, stdin}, timeout_secs, timeout_ms, max_retries, run_at_ms,
start_within_ms, array {ranges [{first, last}], entries []}.

What an entry doesn't say is taken from the options. A file is checked whole before
anything of it is sent; stdin is sent as it comes. The ids are printed in the order of the
entries. With --key a command that broke off may be given again: nothing is accepted twice."#;
