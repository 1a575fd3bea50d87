//! Where no secret may be found: logs at the lowest level, command lines, environments, the store, the audit log. And what
//! the audit log has instead.

use super::{admin, baton, bearer, create, file, guarded_with, revoke};
use e2e::{eventually, http};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// All files below this one, but for those that hold tokens.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() && path.extension().is_none_or(|extension| extension != "token") {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn no_secret_is_found_where_none_should_be() {
    let mut cluster = e2e::Cluster::empty();
    cluster
        .environment
        .push(("BATON_LOG".into(), "trace,h2=trace,hyper=trace,hyper_util=trace,tonic=trace,tower=trace".into()));
    cluster.scheduler_args = vec!["--auth".into(), "tokens".into()];
    let gateway = cluster.data_dir().join("gateway.token");
    cluster.gateway_args = vec!["--auth".into(), "tokens".into(), "--token-file".into(), gateway.display().to_string()];
    cluster.start_scheduler();
    cluster.start_gateway();
    super::ready(&cluster);
    let (_, worker) = create(&cluster, &["--scope", "worker"]);
    cluster.worker_args = vec!["--token-file".into(), file(&cluster, &worker).display().to_string()];
    cluster.start_worker(0);
    let (_, user) = create(&cluster, &["--scope", "submit,read"]);
    assert!(baton(&cluster, Some(&user), &["run", "--", "echo hello"]).status.success());
    assert_eq!(http::http(cluster.http_address, "GET", "/tasks", &[("authorization", &bearer(&user))], "").status, 200);
    let tokens = [admin(&cluster), fs::read_to_string(&gateway).unwrap().trim().to_owned(), worker, user];
    let secrets: Vec<&str> = tokens.iter().map(|token| token.split_once('.').unwrap().1).collect();
    let pids =
        [&cluster.scheduler, &cluster.gateway, &cluster.workers[0]].map(|process| process.as_ref().unwrap().pid());
    let mut places: Vec<PathBuf> = files(cluster.dir());
    assert!(
        places.iter().any(|path| path.ends_with("tasks.sqlite"))
            && places.iter().any(|path| path.ends_with("audit.log"))
    );
    for pid in pids {
        places.extend(["cmdline", "environ"].map(|name| PathBuf::from(format!("/proc/{pid}/{name}"))));
    }
    for place in places {
        // What a service writes and moves meanwhile may be gone.
        let Ok(bytes) = fs::read(&place) else { continue };
        for secret in &secrets {
            assert!(!holds(&bytes, secret), "{} holds a secret", place.display());
        }
    }
}

/// The lines of a log, as far as they are whole.
fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap_or_default().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn the_audit_log_says_who_did_what_from_where_and_who_was_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("gateway-audit.log");
    let cluster = guarded_with(&["--audit-log", &own.display().to_string()]);
    let (id, user) = create(&cluster, &["--scope", "submit,read"]);
    let submitted = baton(&cluster, Some(&user), &["submit", "-q", "--", "true"]);
    let task = String::from_utf8_lossy(&submitted.stdout).trim().to_owned();
    assert!(baton(&cluster, Some(&user), &["cancel", &task]).status.success());
    assert!(!baton(&cluster, Some(&user), &["queues", "pause", "default"]).status.success());
    revoke(&cluster, &id);
    assert!(!baton(&cluster, Some(&user), &["list"]).status.success());
    let log = cluster.data_dir().join("audit.log");
    let found = |path: &Path, fields: &[(&str, &str)]| {
        let fits =
            |line: &Value| fields.iter().all(|(name, value)| line[*name].as_str().is_some_and(|v| v.contains(value)));
        eventually(&format!("{fields:?} in {}: {:#?}", path.display(), lines(path)), || {
            lines(path).into_iter().find(fits)
        })
    };
    let who = format!("token:{id}");
    // The scheduler's: by the gateway, for the one who asked it.
    let line = found(&log, &[("call", "/Submit"), ("target", &task), ("for", &who), ("outcome", "ok")]);
    assert!(line["who"].as_str().unwrap().starts_with("token:") && line["name"] == "first gateway", "{line}");
    assert_eq!((&line["for_name"], line["peer"].as_str().unwrap().starts_with("127.0.0.1:")), (&"test".into(), true));
    found(&log, &[("call", "/CancelTask"), ("target", &task), ("for", &who), ("outcome", "ok")]);
    found(&log, &[("call", "/CreateToken"), ("target", &id), ("for_name", "first administrator")]);
    found(&log, &[("call", "/RevokeToken"), ("target", &id), ("outcome", "ok")]);
    // The gateway's: whom it turned away.
    found(&own, &[("call", "/PauseQueue"), ("outcome", "refused"), ("reason", "denied")]);
    found(&own, &[("call", "/"), ("outcome", "refused"), ("reason", "unauthenticated")]);
    found(&own, &[("call", "/SubmitTask"), ("who", &who), ("outcome", "ok")]);
    // What a client says of himself counts for nothing.
    let forged = [("authorization", bearer(&admin(&cluster))), ("baton-caller", "token:forged".into())];
    let headers: Vec<(&str, &str)> = forged.iter().map(|(name, value)| (*name, value.as_str())).collect();
    http::http(cluster.http_address, "POST", "/queues/audited/pause", &headers, "");
    found(&log, &[("call", "/PauseQueue"), ("target", "audited")]);
    for path in [&log, &own] {
        assert!(!fs::read_to_string(path).unwrap().contains("forged"));
    }
}
