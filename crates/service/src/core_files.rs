//! Core files: none of a service, because everything that it knows would be in it, tokens and keys too.
//!
//! What a worker starts gets the limit back that the worker was started with.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::sync::OnceLock;

/// What held when this process was started.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// From here on no core file of this process is written, and none of what it starts unless that gets [`core_limit`].
pub fn forbid_core_files() {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Core));
    let none = Rlimit { current: Some(0), maximum: before.maximum };
    // Lowering it is never refused.
    let _ = setrlimit(Resource::Core, none);
}

/// The limit of core files that held before [`forbid_core_files`]; `None`: that wasn't called.
pub fn core_limit() -> Option<Rlimit> {
    BEFORE.get().copied()
}

/// From here on nobody but root gets at this process's memory: not by a core that is piped to a program, which no limit
/// keeps the system from, not by a debugger, and not by files below `/proc`. For services that start no other programs:
/// those find theirs there.
pub(crate) fn close_memory() {
    // Known to every kernel.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
