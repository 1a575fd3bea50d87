//! A cluster whose services have certificates, and a client of TLS that shows what is really sent.

use e2e::{Cluster, PATIENCE, binary, eventually};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::*};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Runs `baton ca …` and fails unless it succeeds.
pub fn ca(args: &[&str]) {
    let output = Command::new(binary("baton")).arg("ca").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The CA's directory of a cluster.
pub fn authority(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("ca")
}

/// The arguments that name a service's files.
pub fn files(dir: &Path, name: &str, ca: &Path) -> Vec<String> {
    let at = |file: String| dir.join(file).to_string_lossy().into_owned();
    let ca = ca.join("ca.crt").to_string_lossy().into_owned();
    let (cert, key) = (at(format!("{name}.crt")), at(format!("{name}.key")));
    vec!["--tls-cert".into(), cert, "--tls-key".into(), key, "--tls-ca".into(), ca]
}

/// A CA, certificates for all, and nothing started yet.
pub fn prepared() -> Cluster {
    let mut cluster = Cluster::empty();
    let dir = authority(&cluster);
    let text = dir.to_string_lossy().into_owned();
    ca(&["init", &text]);
    ca(&["issue", &text, "--service", "scheduler"]);
    ca(&["issue", &text, "--service", "gateway"]);
    ca(&["issue", &text, "--worker", "w0", "--host", "localhost,127.0.0.1"]);
    cluster.scheme = "https";
    cluster.scheduler_args = files(&dir, "scheduler", &dir);
    cluster.gateway_args = files(&dir, "gateway", &dir);
    cluster.worker_args = files(&dir, "worker-w0", &dir);
    cluster
}

/// All of it, running, with one worker in contact.
pub fn running() -> Cluster {
    let mut cluster = prepared();
    cluster.start_scheduler();
    cluster.start_gateway();
    cluster.start_worker(0);
    in_contact(&cluster);
    cluster
}

/// Waits until a worker is in contact.
pub fn in_contact(cluster: &Cluster) {
    eventually("a worker in contact", || {
        let output = baton(cluster, &["--output", "json", "workers"]).output().unwrap();
        let workers: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        workers.as_array()?.iter().any(|worker| worker["status"] == "connected").then_some(())
    });
}

/// The CLI, which trusts the cluster's CA.
pub fn baton(cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = cluster.baton(args);
    command.env("BATON_CA", authority(cluster).join("ca.crt"));
    command
}

/// Exit code, stdout, stderr.
pub fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A plain request over TLS; the answer to its end. `Err`: no connection came about.
pub fn https(cluster: &Cluster, address: SocketAddr, request: &str) -> Result<String, String> {
    https_as(cluster, address, request, None)
}

/// The same, showing a certificate: the files' paths without their ending.
pub fn https_as(cluster: &Cluster, address: SocketAddr, request: &str, shown: Option<&Path>) -> Result<String, String> {
    use pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority(cluster).join("ca.crt")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some(path) => {
            let chain = vec![CertificateDer::from_pem_file(path.with_extension("crt")).unwrap()];
            config
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(path.with_extension("key")).unwrap())
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error.to_string()),
        // Some end without a word.
        Ok(_) | Err(_) => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// A request for a page.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}
