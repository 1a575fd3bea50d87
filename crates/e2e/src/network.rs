//! A network of its own for what takes fixed ports.

use std::process::Command;

/// The beginning of a command that runs the rest in a network of its own, whose loopback is still down; `None` where
/// that isn't to be had.
pub fn own_network() -> Option<Command> {
    let ways: [&[&str]; 2] = [&["--net"], &["--net", "--user", "--map-root-user"]];
    let up = ["ip", "link", "set", "lo", "up"];
    let way = ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(*way).args(up).output();
        tried.is_ok_and(|output| output.status.success())
    })?;
    let mut command = Command::new("unshare");
    command.args(way);
    Some(command)
}
