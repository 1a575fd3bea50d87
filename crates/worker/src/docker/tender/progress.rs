//! What a tender says on its own account: as progress of its task.

use std::{fs::File, io::Write as _};

/// Names the descriptor.
const DESCRIPTOR: &str = "BATON_PROGRESS_FD";

/// Says what is going on. A worker that doesn't hear it only shows less.
pub(super) fn say(message: &str) {
    let Some(descriptor) = std::env::var(DESCRIPTOR).ok().and_then(|fd| fd.parse::<u32>().ok()) else { return };
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Ok(mut pipe) = File::options().write(true).open(format!("/dev/fd/{descriptor}")) {
        let _ = pipe.write_all(format!("0 {line}\n").as_bytes());
    }
}
