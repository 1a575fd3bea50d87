//! With TLS, tokens and logs at their lowest level: where secrets may be, and where not. Files, command lines, environments
//! and logs hold none. Memory holds those that its process needs, and no core file of a service is ever written.

use super::holds_any;
use base64::Engine as _;
use e2e::{Cluster, Gate, binary, eventually};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Bytes of a page of memory.
const PAGE: usize = 4_096;

/// A secret, in every form in which it could lie about.
struct Secret {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// A token: its text's secret half, the bytes that it stands for, and both in base64.
    fn token(name: &'static str, text: &str) -> Self {
        let half = text.trim().split_once('.').unwrap().1;
        let raw: Vec<u8> =
            (0..half.len() / 2).map(|i| u8::from_str_radix(&half[2 * i..2 * i + 2], 16).unwrap()).collect();
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes).into_bytes();
        // Without its last character, which hangs on what follows.
        let cut = |mut text: Vec<u8>| {
            text.pop();
            text
        };
        let forms =
            vec![half.into(), raw.clone(), cut(base64(&raw)), cut(base64(half.as_bytes())), half.to_uppercase().into()];
        Self { name, forms }
    }

    /// A private key: the body of its PEM, its DER, and the number itself.
    fn key(name: &'static str, file: &Path) -> Self {
        let pem = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(lines.concat()).unwrap();
        // An octet string of 32 bytes.
        let at = der.windows(2).position(|pair| pair == [0x04, 0x20]).unwrap() + 2;
        let hex: String = der[at..at + 32].iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = vec![lines[0].into(), lines.concat().into(), der.clone(), der[at..at + 32].to_vec(), hex.into()];
        Self { name, forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        holds_any(bytes, &self.forms)
    }
}

/// All files below, but for those that are made to hold secrets.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let own = path.extension().is_some_and(|extension| extension == "token" || extension == "key");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() && !own => found.push(path),
            Ok(_) | Err(_) => {}
        }
    }
    found
}

/// What a core file of this process would hold: all of its own memory.
fn memory(pid: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    for line in fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        let (from, to) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        if rights.starts_with("rw") && memory.seek(SeekFrom::Start(number(from))).is_ok() {
            let mut page = [0; PAGE];
            for _ in (number(from)..number(to)).step_by(PAGE) {
                // What isn't backed by anything can't be read, and holds nothing; most of what can was never written to.
                let read = memory.read_exact(&mut page);
                if read.is_err() {
                    break;
                }
                if page != [0; PAGE] {
                    bytes.extend_from_slice(&page);
                }
            }
        }
    }
    bytes
}

/// The CLI with the CA and a token.
fn baton(cluster: &Cluster, token: &Path, args: &[&str]) -> Command {
    let mut command = cluster.baton(args);
    command.env("BATON_TOKEN_FILE", token).env("BATON_CA", cluster.dir().join("ca/ca.crt"));
    command.env("BATON_LOG", "trace");
    command
}

fn well(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A token in a file, made by the administrator.
fn create(cluster: &Cluster, name: &str, args: &[&str]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let admin = cluster.data_dir().join("admin.token");
    let args = [&["--output", "json", "token", "create", "--name", name], args].concat();
    let made: Value = serde_json::from_str(&well(baton(cluster, &admin, &args).output().unwrap())).unwrap();
    let file = cluster.dir().join(format!("{name}.token"));
    fs::write(&file, made["token"].as_str().unwrap()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The services' certificates and logs; nothing started yet.
fn prepared() -> Cluster {
    let mut cluster = Cluster::empty();
    let dir = cluster.dir().join("ca");
    let text = dir.display().to_string();
    for args in [
        &["init", &text][..],
        &["issue", &text, "--service", "scheduler"],
        &["issue", &text, "--service", "gateway"],
        &["issue", &text, "--worker", "w0", "--host", "localhost,127.0.0.1"],
    ] {
        well(Command::new(binary("baton")).arg("ca").args(args).output().unwrap());
    }
    let tls = |name: &str| {
        let at = |file: String| dir.join(file).display().to_string();
        let (cert, key) = (at(format!("{name}.crt")), at(format!("{name}.key")));
        vec!["--tls-cert".into(), cert, "--tls-key".into(), key, "--tls-ca".into(), at("ca.crt".into())]
    };
    cluster.scheme = "https";
    let levels = "trace,h2=trace,hyper=trace,hyper_util=trace,tonic=trace,tower=trace,rustls=trace";
    cluster.environment.push(("BATON_LOG".into(), levels.into()));
    let tokens = || ["--auth", "tokens"].map(str::to_owned).to_vec();
    cluster.scheduler_args = [tls("scheduler"), tokens()].concat();
    let file = cluster.data_dir().join("gateway.token").display().to_string();
    cluster.gateway_args = [tls("gateway"), tokens(), vec!["--token-file".into(), file]].concat();
    let file = cluster.dir().join("worker.token").display().to_string();
    cluster.worker_args = [tls("worker-w0"), vec!["--token-file".into(), file]].concat();
    cluster
}

fn cores(limit: Option<u64>) {
    let maximum = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: limit, maximum }).unwrap();
}

#[test]
fn secrets_are_in_no_file_log_command_line_or_environment_and_no_core_is_written() {
    // As on a machine where cores are wanted.
    cores(getrlimit(Resource::Core).maximum);
    let mut cluster = prepared();
    cluster.start_scheduler();
    cluster.start_gateway();
    let admin = cluster.data_dir().join("admin.token");
    eventually("a gateway that knows the tokens", || {
        baton(&cluster, &admin, &["workers"]).output().unwrap().status.success().then_some(())
    });
    create(&cluster, "worker", &["--scope", "worker", "--worker", "w0"]);
    let user = create(&cluster, "user", &["--scope", "submit,read"]);
    cluster.start_worker(0);
    let gate = Gate::new(cluster.dir(), "gate");
    let line = format!("ulimit -c; {}; cat /proc/self/environ; seq 200000", gate.line());
    let mut client =
        baton(&cluster, &user, &["run", "--", &line]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    gate.begun(1);
    let key = |name: &str| cluster.dir().join("ca").join(name);
    let token = |file: &Path| fs::read_to_string(file).unwrap();
    let secrets = [
        Secret::token("the user's token", &token(&user)),
        Secret::token("the administrator's token", &token(&admin)),
        Secret::token("the gateway's token", &token(&cluster.data_dir().join("gateway.token"))),
        Secret::token("the worker's token", &token(&cluster.dir().join("worker.token"))),
        Secret::key("the scheduler's key", &key("scheduler.key")),
        Secret::key("the gateway's key", &key("gateway.key")),
        Secret::key("the worker's key", &key("worker-w0.key")),
        Secret::key("the CA's key", &key("ca.key")),
    ];
    // Everything that works for this cluster: services, keeper, the task's processes, the command line.
    let pids = e2e::alive_under(cluster.dir());
    assert!(pids.len() >= 6 && pids.contains(&client.id()), "{pids:?}");
    let mut places: Vec<PathBuf> =
        pids.iter().flat_map(|pid| ["cmdline", "environ"].map(|name| format!("/proc/{pid}/{name}").into())).collect();
    let services = ["scheduler", "gateway", "worker"];
    let processes = [&cluster.scheduler, &cluster.gateway, &cluster.workers[0]].map(|p| p.as_ref().unwrap().pid());
    let found = services.into_iter().zip(processes).map(|(service, pid)| {
        let bytes = memory(pid);
        (service, secrets.iter().filter(|secret| secret.is_in(&bytes)).map(|secret| secret.name).collect::<Vec<_>>())
    });
    let found: Vec<(&str, Vec<&str>)> = found.collect();
    println!("{}", serde_json::json!({"row": "secrets in memory", "found": found}));
    gate.open();
    let mut output = String::new();
    client.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(client.wait().unwrap().success());
    let backup = cluster.dir().join("backup").display().to_string();
    let data = cluster.data_dir().display().to_string();
    well(baton(&cluster, &admin, &["backup", "--data-dir", &data, &backup]).output().unwrap());

    places.extend(files(cluster.dir()));
    for name in ["tasks.sqlite", "tasks.sqlite-wal", "audit.log", "backup.json", "keeper.log"] {
        assert!(places.iter().any(|path| path.ends_with(name)), "{name} is looked at");
    }
    for place in &places {
        // What a service writes and moves meanwhile may be gone.
        let Ok(bytes) = fs::read(place) else { continue };
        for secret in &secrets {
            assert!(!secret.is_in(&bytes), "{} holds {}", place.display(), secret.name);
        }
    }
    for secret in &secrets {
        assert!(!secret.is_in(output.as_bytes()), "a task's output holds {}", secret.name);
    }
    // A task has the limit that its worker was started with.
    let unlimited = getrlimit(Resource::Core).current.map_or_else(|| "unlimited".to_owned(), |n| (n / 512).to_string());
    assert_eq!(output.lines().next(), Some(unlimited.as_str()), "its limit of core files");
    in_memory_is_what_is_needed(&found);
    crash(&mut cluster);
}

/// A process knows its own secrets and those that are brought to it, and no others.
fn in_memory_is_what_is_needed(found: &[(&str, Vec<&str>)]) {
    let never = [
        // New tokens have passed through these two.
        ("scheduler", &["the gateway's key", "the worker's key", "the CA's key"][..]),
        ("gateway", &["the scheduler's key", "the worker's key", "the CA's key"]),
        (
            "worker",
            &[
                "the user's token",
                "the administrator's token",
                "the gateway's token",
                "the scheduler's key",
                "the gateway's key",
                "the CA's key",
            ],
        ),
    ];
    for (service, names) in never {
        let there = found.iter().find(|(name, _)| *name == service).map(|(_, found)| found).unwrap();
        let foreign: Vec<_> = names.iter().filter(|name| there.contains(name)).collect();
        assert!(foreign.is_empty(), "{service} has in its memory what is none of its business: {foreign:?}");
    }
}

/// None of them writes a core, whatever the limit was that they were started with.
fn crash(cluster: &mut Cluster) {
    let piped = fs::read_to_string("/proc/sys/kernel/core_pattern").is_ok_and(|pattern| pattern.starts_with('|'));
    let worker = cluster.workers[0].take().filter(|_| !piped);
    for mut process in [cluster.scheduler.take(), cluster.gateway.take(), worker].into_iter().flatten() {
        process.signal(Signal::ABORT);
        let status = process.ended();
        assert_eq!((status.signal(), status.core_dumped()), (Some(libc_abort()), false));
    }
    let cores = files(cluster.dir());
    assert!(!cores.iter().any(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"))));
}

/// SIGABRT's number.
fn libc_abort() -> i32 {
    Signal::ABORT.as_raw()
}
