//! What stands in deploy/: valid for those who read it, and an image's files that run without anything of this machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod image;

use e2e::{Cluster, Process, binary, skip};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path)
}

fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_compose_file_is_valid_and_has_what_the_older_system_had() {
    let mut compose = if works("docker", &["compose", "version"]) {
        let mut command = Command::new("docker");
        command.arg("compose");
        command
    } else if works("docker-compose", &["version"]) {
        Command::new("docker-compose")
    } else {
        return skip("neither docker compose nor docker-compose");
    };
    let output = compose.arg("-f").arg(deploy("docker-compose.yml")).arg("config").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let services =
        text.lines().skip_while(|line| *line != "services:").skip(1).take_while(|line| line.starts_with(' '));
    let services = services.filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let services: BTreeSet<_> = services.filter(|name| !name.starts_with(' ')).collect();
    let wanted = ["client", "gateway", "jaeger", "prometheus", "scheduler", "worker-1", "worker-2"];
    assert_eq!(services, wanted.into(), "{text}");
    assert!(!text.contains("0.0.0.0:16686") && text.contains("127.0.0.1"), "published on loopback: {text}");
}

/// The services, the client, Prometheus and a collector with the flags, names and addresses that the file gives them.
#[test]
fn what_the_compose_file_describes_works_together() {
    let python = std::env::var("BATON_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let prometheus = std::env::var("BATON_TEST_PROMETHEUS").unwrap_or_else(|_| "prometheus".into());
    let find = "import grpc_tools, yaml, os, rotel; print(os.path.dirname(rotel.__file__) + '/rotel-agent')";
    let rotel = Command::new(&python).args(["-c", find]).output();
    let Some(rotel) = rotel.ok().filter(|output| output.status.success()) else {
        return skip("no Python with grpcio-tools, pyyaml and rotel");
    };
    if !works(&prometheus, &["--version"]) {
        return skip("no prometheus");
    }
    if !works("unshare", &["--net", "--mount", "true"]) {
        return skip("no namespaces to be had");
    }
    let cluster = Cluster::empty();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", &python]).arg(deploy("../crates/e2e/tests/deploy/compose.py"));
    command.arg(deploy("..").canonicalize().unwrap()).arg(binary("baton")).arg(cluster.dir());
    command.arg(prometheus).arg(String::from_utf8(rotel.stdout).unwrap().trim()).current_dir(cluster.dir());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.ends_with("all as described\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn prometheus_takes_its_configuration() {
    let prometheus = std::env::var("BATON_TEST_PROMETHEUS").unwrap_or_else(|_| "prometheus".into());
    let promtool = Path::new(&prometheus).with_file_name("promtool");
    if !works(&promtool.to_string_lossy(), &["--version"]) {
        return skip("no promtool");
    }
    let output = Command::new(promtool).args(["check", "config"]).arg(deploy("prometheus.yml")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn systemd_takes_the_units() {
    if !works("systemd-analyze", &["--version"]) {
        return skip("no systemd-analyze");
    }
    let cluster = Cluster::empty();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").env("SYSTEMD_LOG_LEVEL", "warning");
    for unit in fs::read_dir(deploy("systemd")).unwrap() {
        let unit = unit.unwrap().path();
        let text = fs::read_to_string(&unit).unwrap();
        // The program is looked for where the unit says.
        let text = text.replace("/usr/bin/baton", &binary("baton").to_string_lossy());
        let copy = cluster.dir().join(unit.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        verify.arg(copy);
    }
    let output = verify.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_ours: Vec<_> = said.lines().filter(|line| line.contains("baton-")).collect();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

/// As a container would: the image's files alone, its user, its environment.
#[test]
fn the_image_from_scratch_runs_the_services_as_its_own_user() {
    if !rustix::process::geteuid().is_root() || !works("unshare", &["--mount", "--pid", "--fork", "true"]) {
        return skip("no root, or no namespaces to be had");
    }
    let cluster = Cluster::empty();
    let root = cluster.dir().join("rootfs");
    let output = Command::new(deploy("scratch/rootfs.sh")).arg(binary("baton")).arg(&root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dockerfile = fs::read_to_string(deploy("scratch/Dockerfile")).unwrap();
    let environment = dockerfile.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let line = format!(
        "mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && exec chroot --userspec={user} {root} \
         /usr/bin/env -i {environment} /usr/bin/baton dev --listen 127.0.0.1:0",
        root = root.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &line]);
    let mut image = Process::start("image", cluster.dir(), &mut command);
    let address = loop {
        if let Some(address) = image.line().strip_prefix("Gateway service listening on ") {
            break address.to_owned();
        }
    };
    let uid = "while read key uid rest; do test $key != Uid: || echo $uid; done < /proc/self/status";
    let task = format!("echo hello from $HOME; {uid}; sleep 0; exit 3");
    let mut run = Command::new(binary("baton"));
    run.args(["--gateway-url", &format!("http://{address}"), "run", "--", &task]);
    let output = run.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello from /data\n10001\n", "{output:?}");
    assert_eq!(output.status.code(), Some(3));
}
