//! What doesn't work, and what is said about it: each wrong way in names what is wrong with it.

use crate::fleet::{authority, baton, ca, files, get, https, https_as, in_contact, prepared, running, said};
use e2e::{Cluster, Process, eventually, http::http, http_get};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType, date_time_ymd};
use std::{fs, path::Path, process::Command};

/// What a worker says on /readyz of a port without TLS.
fn waits_with(cluster: &Cluster, words: &str, args: &[String]) {
    let mut command = Command::new(e2e::binary("worker"));
    command.args(["--listen", "127.0.0.1:0", "--id", "odd", "--data-dir"]).arg(cluster.dir().join("odd"));
    command.args(["--scheduler", &format!("https://localhost:{}", cluster.scheduler_address.port())]).args(args);
    command.current_dir(cluster.dir());
    let mut worker = Process::start("odd", cluster.dir(), &mut command);
    let address = worker.listening();
    eventually(words, || {
        let ready = http_get(address, "/readyz").1;
        ready.contains(words).then_some(())
    });
    worker.signal(rustix::process::Signal::INT);
    worker.ended();
}

#[test]
fn who_speaks_without_tls_is_told_and_so_is_who_expects_it() {
    let cluster = running();
    let answer = http(cluster.http_address, "GET", "/healthz", &[], "");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "this port speaks TLS");
    let url = format!("http://{}", cluster.gateway_address);
    let (code, _, stderr) = said(&mut baton(&cluster, &["--gateway-url", &url, "list"]));
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("it speaks TLS; use https://"), "{stderr}");

    let plain = Cluster::start(0);
    let url = format!("https://{}", plain.gateway_address);
    let (code, _, stderr) = said(&mut baton(&cluster, &["--gateway-url", &url, "list"]));
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("it does not speak TLS; use http://"), "{stderr}");
}

#[test]
fn a_client_names_what_is_wrong_with_a_certificate() {
    let mut cluster = prepared();
    let other = cluster.dir().join("other");
    ca(&["init", &other.to_string_lossy()]);
    cluster.start_scheduler();
    cluster.start_gateway();
    let list = |trusted: &Path| said(baton(&cluster, &["list"]).env("BATON_CA", trusted));
    let (code, _, stderr) = list(&other.join("ca.crt"));
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("not from a CA that is trusted here") && stderr.contains("--ca FILE"), "{stderr}");
    let (code, _, stderr) = said(&mut cluster.baton(&["list"]));
    assert_eq!(code, Some(3), "the system's CAs don't know ours: {stderr}");
    let (code, _, stderr) = list(&other.join("nothing"));
    assert!(code == Some(1) && stderr.contains("nothing: cannot be read"), "{code:?} {stderr}");

    for (name, hosts, years, words) in [
        ("elsewhere", "elsewhere.example", (2020, 2060), "not for 127.0.0.1 but for"),
        ("late", "127.0.0.1", (2020, 2021), "its certificate has expired"),
        ("early", "127.0.0.1", (2058, 2060), "not valid yet"),
    ] {
        made(&authority(&cluster), name, hosts, years);
        cluster.kill_gateway();
        cluster.gateway_args = files(&authority(&cluster), name, &authority(&cluster));
        cluster.start_gateway();
        let (code, _, stderr) = said(&mut baton(&cluster, &["list"]));
        assert_eq!(code, Some(3), "{name}: {stderr}");
        assert!(stderr.contains(words), "{name}: {stderr}");
    }
}

#[test]
fn a_worker_whose_certificate_is_not_good_does_not_get_in_and_says_why() {
    let cluster = running();
    let (own, other) = (authority(&cluster), cluster.dir().join("other"));
    ca(&["init", &other.to_string_lossy()]);
    ca(&["issue", &other.to_string_lossy(), "--worker", "odd", "--host", "localhost"]);
    // It trusts the right CA, and shows a certificate of another one.
    let shown = files(&other, "worker-odd", &own);
    let port = cluster.scheduler_address.port();
    let scheduler = format!("https://localhost:{port}");
    let mut command = Command::new(e2e::binary("worker"));
    command.args(["--listen", "127.0.0.1:0", "--id", "odd", "--scheduler", &scheduler, "--data-dir"]);
    command.arg(cluster.dir().join("odd")).args(&shown).current_dir(cluster.dir());
    let mut worker = Process::start("odd", cluster.dir(), &mut command);
    worker.listening();
    eventually("the worker's log names the certificate", || {
        worker.log().contains("it refuses the certificate of this side").then_some(())
    });
    worker.signal(rustix::process::Signal::INT);
    worker.ended();
    // No certificate is no wrong certificate: who may do what without one is for tokens to say.
    let trusting = vec!["--tls-ca".into(), own.join("ca.crt").to_string_lossy().into_owned()];
    let mistrusting = vec!["--tls-ca".into(), other.join("ca.crt").to_string_lossy().into_owned()];
    waits_with(&cluster, r#""ready":true"#, &trusting);
    waits_with(&cluster, "not from a CA that is trusted here", &mistrusting);
    in_contact(&cluster);
}

#[test]
fn a_wrong_certificate_of_a_caller_is_refused_and_a_missing_one_is_not() {
    let cluster = running();
    let other = cluster.dir().join("other");
    ca(&["init", &other.to_string_lossy()]);
    ca(&["issue", &other.to_string_lossy(), "--worker", "w0"]);
    let address = cluster.gateway_address;
    let shown = |file: &Path| https_as(&cluster, address, &get("/healthz"), Some(file));
    assert!(shown(&authority(&cluster).join("worker-w0")).is_ok_and(|answer| answer.contains("alive")));
    assert!(https(&cluster, address, &get("/healthz")).is_ok_and(|answer| answer.contains("alive")));
    let error = shown(&other.join("worker-w0")).unwrap_err();
    assert!(error.contains("alert"), "{error}");
    made(&authority(&cluster), "late", "localhost", (2020, 2021));
    let error = shown(&authority(&cluster).join("late")).unwrap_err();
    assert!(error.contains("CertificateExpired"), "{error}");
}

/// A certificate from this CA, of these years: `baton ca` doesn't make such.
fn made(ca: &Path, name: &str, host: &str, (from, to): (i32, i32)) {
    let read = |file: &str| fs::read_to_string(ca.join(file)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), KeyPair::from_pem(&read("ca.key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![match host.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(host.try_into().unwrap()),
    }];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    fs::write(ca.join(name).with_extension("crt"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(ca.join(name).with_extension("key"), key.serialize_pem()).unwrap();
}
