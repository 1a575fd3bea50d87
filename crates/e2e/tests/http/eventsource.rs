//! npm's `eventsource` (`BATON_TEST_TOOLS` names the directory that has it) follows a task and stops at its end.

use crate::{file, story, submit, tool};
use e2e::{Cluster, Gate, Process, connected, skip};
use std::process::Command;

#[test]
fn npms_eventsource_gets_every_event_over_a_restart_and_stops_at_the_end() {
    let Some(module) = tool("node/node_modules/eventsource") else { return skip("no eventsource of npm's") };
    if Command::new("node").arg("--version").output().is_err() {
        return skip("no node");
    }
    let mut cluster = Cluster::start(1);
    connected(&cluster, 1);
    let gate = Gate::new(cluster.dir(), "gate");
    let id = submit(&cluster, &format!("echo one; {}; echo two >&2; printf '\\377'; exit 3", gate.line()));
    let mut command = Command::new("node");
    command.arg(file("follow.cjs")).arg(module).arg(format!("http://{}/stream?ref={id}", cluster.http_address));
    let mut follower = Process::start("eventsource", cluster.dir(), &mut command);
    let mut seen = vec![follower.line()];
    gate.begun(1);
    cluster.kill_gateway();
    cluster.start_gateway();
    gate.open();
    let story: Vec<_> = story(&cluster, &id).iter().map(|e| format!("{} {}", e.field("id"), e.field("data"))).collect();
    // The line behind them says that it was told to stop and didn't come again.
    while seen.last().is_none_or(|line| line != "closed") {
        seen.push(follower.line());
    }
    assert_eq!(seen.pop().as_deref(), Some("closed"));
    assert_eq!(seen, story);
    assert!(follower.ended().success());
}
