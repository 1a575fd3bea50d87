//! Starting process trees and ending them, with proof. Linux 5.9 or newer; better than best effort only with cgroups.
//!
//! It must never know tasks, the network or an async runtime, and must never wait longer than a process start takes:
//! who waits for exits and for trees to be gone decides how.

pub mod start;
pub mod tree;

/// An I/O error's text as we show it: lower case, without the number.
pub(crate) fn os_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The result of a libc call that returns −1 with errno.
pub(crate) fn checked(result: i64) -> std::io::Result<i64> {
    if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
