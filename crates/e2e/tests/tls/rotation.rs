//! Certificates that are replaced while services run.

use crate::fleet::{authority, baton, ca, get, https, running};
use e2e::{Cluster, Gate, eventually};
use std::{fs, process::Stdio};

const VALID_UNTIL: &str = "baton_tls_certificate_valid_until_seconds ";

/// Until when a port's certificate is valid, as the service has it.
fn valid_until(cluster: &Cluster) -> f64 {
    let metrics = https(cluster, cluster.gateway_address, &get("/metrics")).unwrap();
    metrics.lines().find_map(|line| line.strip_prefix(VALID_UNTIL)?.trim().parse().ok()).unwrap()
}

/// Puts new files in the place of the gateway's, each at once.
fn replace(cluster: &Cluster, days: &str) {
    let (dir, new) = (authority(cluster), cluster.dir().join(format!("new-{days}")));
    let (from, to) = (dir.to_string_lossy(), new.to_string_lossy());
    ca(&["issue", &from, "--service", "gateway", "--days", days, "--out", &to]);
    for file in ["gateway.key", "gateway.crt"] {
        fs::rename(new.join(file), dir.join(file)).unwrap();
    }
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_nobody_is_cut_off() {
    let mut cluster = running();
    let gate = Gate::new(cluster.dir(), "gate");
    let line = format!("echo first; {}; echo second", gate.line());
    let follow = baton(&cluster, &["run", "--", &line]).stdout(Stdio::piped()).spawn().unwrap();
    gate.begun(1);
    let old = valid_until(&cluster);
    replace(&cluster, "30");
    eventually("the new certificate", || (valid_until(&cluster) < old).then_some(()));
    gate.open();
    let output = follow.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "first\nsecond\n", "the stream went on");

    // What is wrong is said, and changes nothing.
    let used = valid_until(&cluster);
    fs::write(authority(&cluster).join("gateway.crt"), "no certificate").unwrap();
    eventually("a word about it", || {
        let log = cluster.gateway.as_ref().unwrap().log();
        (log.contains("New certificates are wrong") && log.contains("gateway.crt")).then_some(())
    });
    assert_eq!(valid_until(&cluster), used);
    // A right one afterwards is taken again, and shown to the scheduler: the gateway is ready after both are started anew.
    replace(&cluster, "60");
    eventually("the third certificate", || (valid_until(&cluster) > used).then_some(()));
    cluster.kill_scheduler();
    cluster.start_scheduler();
    eventually("ready again", || {
        https(&cluster, cluster.gateway_address, &get("/readyz"))
            .is_ok_and(|r| r.contains(r#""ready":true"#))
            .then_some(())
    });
}
