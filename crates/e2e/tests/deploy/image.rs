//! The image from scratch, built and run by a real Docker engine: three services in containers of their own.

use crate::deploy;
use e2e::{Cluster, Engine, binary, eventually};
use std::{net::SocketAddr, path::Path, process::Command};

/// As in the documentation.
const TAG: &str = "baton";
/// Seconds until the engine kills what it was told to stop: longer than a graceful stop takes.
const STOP_WITHIN: &str = "60";

/// Puts the files together, without what debuggers read: the engine copies them for each container.
fn build(engine: &Engine, dir: &Path) {
    let (program, root) = (dir.join("baton"), dir.join("rootfs"));
    let stripped = Command::new("strip").arg("-o").arg(&program).arg(binary("baton")).output().unwrap();
    assert!(stripped.status.success(), "{stripped:?}");
    let output = Command::new(deploy("scratch/rootfs.sh")).arg(&program).arg(&root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (dockerfile, root) = (deploy("scratch/Dockerfile"), root.display().to_string());
    engine.docker(&["build", "--quiet", "--file", &dockerfile.display().to_string(), "--tag", TAG, &root]);
}

/// Starts a service in a container that is called like it, with what the compose file gives each, and waits for its line.
/// The engine of the tests has no bridge: it listens on this machine's loopback.
fn start(engine: &Engine, service: &str, args: &[&str]) -> SocketAddr {
    let volume = format!("{service}:/data");
    let run = ["run", "--detach", "--network", "host", "--init", "--cap-drop", "ALL", "--volume", &volume];
    let run = [&run[..], &["--security-opt", "no-new-privileges", "--name", service, TAG, service], args].concat();
    engine.docker(&run);
    eventually(&format!("the line of {service}"), || {
        let line = engine.docker(&["logs", service]);
        line.rsplit_once(" service listening on ").and_then(|(_, address)| address.parse().ok())
    })
}

fn baton(gateway: SocketAddr, args: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{gateway}");
    let output = Command::new(binary("baton")).args(["--gateway-url", &url]).args(args).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_image_from_scratch_is_built_and_runs_the_services_in_containers() {
    let Some(engine) = Engine::start() else { return };
    // Its directory and its free addresses; nothing of it is started.
    let cluster = Cluster::empty();
    build(&engine, cluster.dir());
    assert_eq!(engine.docker(&["image", "inspect", "--format", "{{.Config.User}}", TAG]), "10001:10001");
    let scheduler_args = ["--listen", &cluster.scheduler_address.to_string()];
    let url = format!("http://{}", start(&engine, "scheduler", &scheduler_args));
    let http = cluster.http_address.to_string();
    let gateway = start(&engine, "gateway", &["--listen", "127.0.0.1:0", "--http-listen", &http, "--scheduler", &url]);
    start(&engine, "worker", &["--listen", "127.0.0.1:0", "--id", "boxed", "--slots", "2", "--scheduler", &url]);

    let uid = "while read key uid rest; do test $key != Uid: || echo $uid; done < /proc/self/status";
    let task = format!("echo hello from $BATON_WORKER_ID in $HOME; {uid}; cat /etc/passwd; exit 3");
    let said = "hello from boxed in /data\n10001\nbaton:x:10001:10001::/data:/bin/sh\n";
    assert_eq!(baton(gateway, &["run", "--", &task]), (Some(3), said.to_owned()));
    let (code, id) = baton(gateway, &["submit", "--name", "kept", "--", "echo kept"]);
    assert_eq!(code, Some(0), "{id}");
    let logs = ["logs", "--follow", id.trim()];
    assert_eq!(baton(gateway, &logs), (Some(0), "kept\n".to_owned()));

    // What the scheduler was told is in its volume: another container goes on with it.
    engine.docker(&["rm", "--force", "scheduler"]);
    start(&engine, "scheduler", &scheduler_args);
    assert_eq!(baton(gateway, &logs), (Some(0), "kept\n".to_owned()));
    // The worker may not be back yet, which is said as well.
    let (code, said) = baton(gateway, &["run", "--", "echo again"]);
    assert!(code == Some(0) && said.starts_with("again\n"), "{said}");
    // The gateway asks for its scheduler now and then.
    eventually("the gateway to be ready again", || {
        let (status, _) = e2e::http_get(cluster.http_address, "/readyz");
        (status == 200).then_some(())
    });

    for (service, name) in [("worker", "Worker"), ("gateway", "Gateway"), ("scheduler", "Scheduler")] {
        engine.docker(&["stop", "--time", STOP_WITHIN, service]);
        let code = engine.docker(&["inspect", "--format", "{{.State.ExitCode}}", service]);
        let said = engine.docker(&["logs", service]);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!((&*code, last), ("0", &*format!("{name} service stopped")), "{said}");
    }
}
