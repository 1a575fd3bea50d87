//! Who is at the other end, as a service sees it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{Extension, Router, routing::get};
use clap::Parser;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use service::{
    Api, Gate, Options, Peer, PeerName, Service, Stopping, TlsOptions,
    auth::guarded,
    ca::{Authority, CA_DAYS, DAYS, Issued},
};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    service: Options,
}

/// A service that says who asks.
async fn running(dir: &Path) -> (SocketAddr, Stopping) {
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let args = ["x", "--tls-cert", &at("scheduler.crt"), "--tls-key", &at("scheduler.key"), "--tls-ca", &at("ca.crt")];
    let flags: Flags = service::parse_from(args).unwrap();
    let tls = flags.tls.load().unwrap();
    let service = Service::listen("Echo", ([127, 0, 0, 1], 0).into(), true, &flags.service, &tls, false).await.unwrap();
    let (addr, stopping) = (service.addr(), Stopping::new());
    let routes = Router::new().route("/who", get(async |Extension(peer): Extension<Peer>| format!("{:?}", peer.name)));
    let (routes, stop) = (guarded(routes, &Gate::default(), &[]), stopping.clone());
    tokio::spawn(async move { service.serve(Api::plain(routes), &stop).await.unwrap() });
    (addr, stopping)
}

/// What is answered to somebody with this certificate.
async fn who(addr: SocketAddr, ca: &str, shown: Option<&Issued>) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(Issued { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    let stream = TcpStream::connect(addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_verified_certificate_names_its_owner_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    Authority::init(dir.path(), CA_DAYS).unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let scheduler = PeerName::Service("scheduler".into());
    authority
        .issue(&scheduler, &["localhost".parse().unwrap()], DAYS)
        .unwrap()
        .write(dir.path(), &scheduler, &authority)
        .unwrap();
    let (addr, stopping) = running(dir.path()).await;
    for name in [PeerName::Service("gateway".into()), PeerName::Worker("w 1/ü".into())] {
        let shown = authority.issue(&name, &[], DAYS).unwrap();
        assert_eq!(who(addr, authority.certificate(), Some(&shown)).await, format!("{:?}", Some(name)));
    }
    assert_eq!(who(addr, authority.certificate(), None).await, "None");
    stopping.request();
}
