//! What is offered and asked for in a handshake.

use crate::files::{Error, Files, Identity};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::CertificateDer,
    server::WebPkiClientVerifier,
};
use std::sync::{Arc, OnceLock};

/// Both protocols on one port: gRPC needs the first, browsers and curl take either.
const SERVED: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Services and clients speak gRPC.
const CALLED: [&[u8]; 1] = [b"h2"];

/// One for the process, named wherever it is needed: nothing depends on who installed which first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static RING: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(RING.get_or_init(|| Arc::new(ring::default_provider())))
}

/// The trusted CAs of a file.
pub(crate) fn roots(files: &Files) -> Result<Option<Arc<RootCertStore>>, Error> {
    let (Some(list), Some(file)) = (files.authorities()?, &files.ca) else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in list {
        let added = roots.add(certificate);
        added.map_err(|error| Error::of(files.ca_flag, file, format!("has a certificate that is none: {error}")))?;
    }
    Ok(Some(Arc::new(roots)))
}

/// Those that this machine trusts anyway. None at all is no error here: it shows when somebody is called.
fn system_roots() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "A CA of the system was passed over");
    }
    let mut roots = RootCertStore::empty();
    let (taken, passed) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(taken, passed, "CAs of the system");
    Arc::new(roots)
}

/// How connections are taken. Whoever calls needn't have a certificate; one that is shown has to be good.
pub(crate) fn server(identity: &Identity, roots: Option<&Arc<RootCertStore>>) -> Result<ServerConfig, Error> {
    let wrong = |error: rustls::Error| mismatch(identity, &error);
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(wrong)?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
            let verifier = verifier.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| Error::new(format!("--tls-ca: {error}")))?)
        }
    };
    let mut config = builder.with_single_cert(identity.chain.clone(), identity.key.clone_key()).map_err(wrong)?;
    config.alpn_protocols = SERVED.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// How others are called: with this side's certificate, if it has one.
pub(crate) fn client(identity: Option<&Identity>, roots: Option<&Arc<RootCertStore>>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(error.to_string()))?
        .with_root_certificates(roots.map_or_else(system_roots, Arc::clone));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Vec<CertificateDer<'static>> = identity.chain.clone();
            builder
                .with_client_auth_cert(chain, identity.key.clone_key())
                .map_err(|error| mismatch(identity, &error))?
        }
    };
    Ok(calling(config))
}

/// What is spoken with those that are called.
pub(crate) fn calling(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = CALLED.iter().map(|name| name.to_vec()).collect();
    config
}

fn mismatch(identity: &Identity, error: &rustls::Error) -> Error {
    let why = match error {
        rustls::Error::InconsistentKeys(_) => "is not the certificate of the key that --tls-key names".to_owned(),
        error => error.to_string(),
    };
    Error::of("--tls-cert", &identity.cert_file, why)
}
