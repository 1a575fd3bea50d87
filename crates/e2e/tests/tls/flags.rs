//! Flags and files that can't be used: the service doesn't start, and says which and why.

use crate::fleet::{authority, ca, prepared, said};
use std::{fs, process::Command};

#[test]
fn a_service_that_cannot_use_its_files_names_the_flag_and_the_file() {
    let cluster = prepared();
    let dir = authority(&cluster);
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    fs::write(dir.join("empty"), "").unwrap();
    fs::write(dir.join("broken"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let (cert, key) = (at("scheduler.crt"), at("scheduler.key"));
    let table: &[(&[&str], &[&str])] = &[
        (&["--tls-cert", &cert], &["--tls-cert needs --tls-key"]),
        (&["--tls-key", &key], &["--tls-key needs --tls-cert"]),
        (&["--tls-cert", &at("none"), "--tls-key", &key], &["--tls-cert", "none: cannot be read"]),
        (&["--tls-cert", &at("empty"), "--tls-key", &key], &["--tls-cert", "empty: has no certificate in PEM"]),
        (&["--tls-cert", &cert, "--tls-key", &at("empty")], &["--tls-key", "empty: has no private key in PEM"]),
        (&["--tls-cert", &cert, "--tls-key", &cert], &["--tls-key", "has no private key in PEM"]),
        (&["--tls-cert", &cert, "--tls-key", &at("gateway.key")], &["--tls-cert", "is not the certificate of the key"]),
        (&["--tls-cert", &at("broken"), "--tls-key", &key], &["--tls-cert", "broken: "]),
        (&["--tls-ca", &at("broken")], &["--tls-ca", "broken: "]),
        (&["--tls-ca", &dir.to_string_lossy()], &["--tls-ca", "is no file"]),
    ];
    for (args, words) in table {
        let mut command = Command::new(e2e::binary("gateway"));
        command.args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).args(*args);
        let (code, stdout, stderr) = said(&mut command);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{args:?}: {stderr}");
    }
}

#[test]
fn tls_alone_does_not_open_a_port_to_everybody() {
    let cluster = prepared();
    let mut command = Command::new(e2e::binary("scheduler"));
    command.args(["--listen", "0.0.0.0:0", "--data-dir"]).arg(cluster.data_dir()).args(&cluster.scheduler_args);
    let (code, _, stderr) = said(&mut command);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("would let anybody") && stderr.contains("TLS keeps others from listening in"), "{stderr}");
}

#[test]
fn the_ca_names_what_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let refused = |args: &[&str]| {
        let (code, _, stderr) = said(Command::new(e2e::binary("baton")).arg("ca").args(args));
        (code.unwrap(), stderr)
    };
    let (code, stderr) = refused(&["issue", &at("none"), "--service", "gateway"]);
    assert!(code == 1 && stderr.contains("baton ca init"), "{stderr}");
    ca(&["init", &at("ca")]);
    let (code, stderr) = refused(&["init", &at("ca")]);
    assert!(code == 1 && stderr.contains("never overwritten"), "{stderr}");
    ca(&["issue", &at("ca"), "--service", "gateway"]);
    let (code, stderr) = refused(&["issue", &at("ca"), "--service", "gateway"]);
    assert!(code == 1 && stderr.contains("gateway.crt is there already"), "{stderr}");
    for (args, word) in [
        (vec!["issue", "x"], "--service"),
        (vec!["issue", "x", "--service", "gateway", "--worker", "w"], "cannot be used with"),
        (vec!["issue", "x", "--service", "admin"], "admin"),
        (vec!["issue", "x", "--worker", "w", "--host", "http://x"], "--host"),
        (vec!["issue", "x", "--worker", "w", "--days", "0"], "--days"),
    ] {
        let (code, stderr) = refused(&args);
        assert!(code == 2 && stderr.contains(word), "{args:?}: {code} {stderr}");
    }
}
