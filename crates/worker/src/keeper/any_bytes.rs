//! Whatever arrives on the keeper's socket, from either side: for the fuzzer, and for the tests that repeat what it found.

use super::{codec, message as m};

/// Reads bytes as both sides would. What is understood must mean the same when it is said again.
///
/// # Panics
/// If it doesn't.
pub fn any_bytes(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((message, taken))) = codec::take::<m::ToKeeper>(rest) {
        rest = &rest[taken..];
        if let Some(m::Command::Start(start)) = message.command
            && let Ok(launch) = codec::launch_from(start)
        {
            let again = codec::launch_from(codec::launch_to(launch.clone()));
            assert_eq!(again.as_ref(), Ok(&launch), "a start means something else when said again");
        }
    }
    let mut rest = bytes;
    while let Ok(Some((message, taken))) = codec::take::<m::ToWorker>(rest) {
        rest = &rest[taken..];
        let said = codec::event_from(message);
        drop(said);
    }
}
