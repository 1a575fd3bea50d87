//! Small pages of memory: a large one counts whole as soon as one byte of it is used. With them a scheduler that has taken
//! in a million tasks keeps a third less, and takes no longer.
//!
//! Must never be called by a process that starts others: they would inherit it.

use rustix::thread::disable_transparent_huge_pages;

/// Keeps this process, which starts no others, from being given large pages; where that can't be asked for, nothing changes.
pub(crate) fn small() {
    let _ = disable_transparent_huge_pages(true);
}
