//! A scheduler and a gateway with TLS and tokens, by whose CA workers can join.

use e2e::{Cluster, Process, binary, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

/// The services, and what is needed to speak with them.
pub struct Fleet {
    pub cluster: Cluster,
    host: IpAddr,
}

impl Fleet {
    /// It runs, and listens there.
    pub fn at(host: &str, lost_after: &str) -> Self {
        let host: IpAddr = host.parse().unwrap();
        let mut cluster = Cluster::empty();
        let ca = cluster.dir().join("ca").display().to_string();
        authority(&["init", &ca]);
        for service in ["scheduler", "gateway"] {
            authority(&["issue", &ca, "--service", service, "--host", &host.to_string()]);
        }
        let files = |name: &str| {
            let [cert, key] = ["crt", "key"].map(|end| format!("{ca}/{name}.{end}"));
            ["--auth", "tokens", "--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &format!("{ca}/ca.crt")]
                .map(str::to_owned)
                .to_vec()
        };
        let more = ["--enrol-ca", &ca, "--lost-after", lost_after].map(str::to_owned);
        cluster.scheduler_args = [files("scheduler"), more.to_vec()].concat();
        cluster.gateway_args = files("gateway");
        cluster.scheme = "https";
        cluster.scheduler_address.set_ip(host);
        cluster.gateway_address.set_ip(host);
        cluster.start_scheduler();
        cluster.start_gateway();
        let fleet = Self { cluster, host };
        eventually("a gateway that knows the tokens", || fleet.baton(&["list"]).status.success().then_some(()));
        fleet
    }

    /// On this machine alone.
    pub fn here() -> Self {
        Self::at("127.0.0.1", "60s")
    }

    /// Where workers join.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.cluster.scheduler_address.port())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cluster.dir().join(name)
    }

    /// The CLI, as an administrator.
    pub fn baton(&self, args: &[&str]) -> Output {
        self.baton_as(&self.cluster.data_dir().join("admin.token").display().to_string(), args)
    }

    /// The CLI, with the token in this file.
    pub fn baton_as(&self, token_file: &str, args: &[&str]) -> Output {
        let mut command = self.cluster.baton(args);
        command.env("BATON_CA", self.path("ca/ca.crt")).env("BATON_TOKEN_FILE", token_file);
        command.output().unwrap()
    }

    /// What a command prints, with `--output json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.baton(&[&["--output", "json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
    }

    /// A new token: its id, and a file with its text.
    pub fn token(&self, args: &[&str]) -> (String, String) {
        let made = self.json(&[&["token", "create", "--name", "test"], args].concat());
        let id = made["id"].as_str().unwrap().to_owned();
        (id.clone(), self.file(&format!("{id}.token"), made["token"].as_str().unwrap()))
    }

    /// A token that is good for joining.
    pub fn invitation(&self) -> (String, String) {
        self.token(&["--scope", "enrol"])
    }

    /// A file that only its owner can read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    pub fn revoke(&self, id: &str) {
        let output = self.baton(&["token", "revoke", id]);
        assert!(output.status.success(), "{output:?}");
    }

    /// The one line: a worker of this name joins, and runs.
    pub fn join(&self, id: &str, args: &[&str]) -> Command {
        self.join_at(&self.url(), id, args)
    }

    pub fn join_at(&self, url: &str, id: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary("worker"));
        command.args(["join", url, "--id", id, "--slots", "2"]);
        if !args.contains(&"--data-dir") {
            command.arg("--data-dir").arg(self.path(id));
        }
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(args).current_dir(self.cluster.dir());
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("BATON_")) {
            command.env_remove(key);
        }
        command
    }

    /// It joins, and is in contact.
    pub fn joined(&self, id: &str, args: &[&str]) -> Process {
        let mut worker = Process::start(id, self.cluster.dir(), &mut self.join(id, args));
        worker.listening();
        self.connected(id);
        worker
    }

    /// Waits until a worker is in contact.
    pub fn connected(&self, id: &str) {
        eventually(&format!("contact with {id}"), || (self.status(id)? == "connected").then_some(()));
    }

    /// Waits until it isn't.
    pub fn away(&self, id: &str) {
        eventually(&format!("no contact with {id}"), || (self.status(id)? != "connected").then_some(()));
    }

    /// Empty: nobody knows of it. `None`: nobody says.
    fn status(&self, id: &str) -> Option<String> {
        let output = self.baton(&["--output", "json", "workers"]);
        let workers: Value = serde_json::from_slice(&output.stdout).ok()?;
        let found = workers.as_array()?.iter().find(|worker| worker["worker_id"] == id);
        Some(found.and_then(|worker| worker["status"].as_str()).unwrap_or_default().to_owned())
    }

    /// How a try to join ends, which must be with code 1 and no certificate: what it says.
    pub fn stays_out(&self, id: &str, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
        assert!(text.contains("error: "), "{text}");
        assert!(!self.path(id).join("worker.crt").exists(), "{command:?}: there is a certificate");
        text
    }

    /// The lines of the scheduler's audit log that are about this call, once one of them has these words.
    pub fn audited(&self, call: &str, words: &[&str]) -> Value {
        eventually(&format!("{words:?} in the audit log"), || {
            let lines = self.audit_log();
            let about = |line: &&String| line.contains(call) && words.iter().all(|word| line.contains(word));
            lines.iter().find(about).map(|line| serde_json::from_str(line).unwrap())
        })
    }

    pub fn audit_log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.cluster.data_dir().join("audit.log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

/// Ctrl-C; its tasks go on.
pub fn stop(mut worker: Process) {
    worker.signal(Signal::INT);
    assert!(worker.ended().success());
}

/// Runs `baton ca …`.
pub fn authority(args: &[&str]) {
    let output = Command::new(binary("baton")).arg("ca").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}
