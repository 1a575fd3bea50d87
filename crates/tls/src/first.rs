//! The first contact of a machine that knows no CA yet, and the hash by which it tells the right one.
//!
//! Must never be how anything secret is sent: a connection to anybody is good for asking which CA there is, and for nothing
//! else. What it answers counts only if its hash is the one that was learned in another way.

use crate::{
    Tls, config,
    files::{self, Error},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::Arc;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}

/// The hash of the one certificate in this PEM. Of several the hash of one would say nothing about the others.
///
/// # Errors
/// [`Error`]: there is none, or more than one.
pub fn fingerprint(pem: &str) -> Result<[u8; 32], Error> {
    match files::parse(pem.as_bytes())?.as_slice() {
        [one] => Ok(sha256(one)),
        several => Err(Error::new(format!("{} certificates where one is expected", several.len()))),
    }
}

impl Tls {
    /// Calls whoever answers, without knowing who that is.
    ///
    /// # Errors
    /// None in practice: what is offered is fixed.
    pub fn of_anybody() -> Result<Self, Error> {
        let provider = config::provider();
        let anybody = Arc::new(Anybody(Arc::clone(&provider)));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth();
        Ok(Self::calling(config::calling(config)))
    }

    /// Calls those whose certificates are from the CAs in this PEM, and shows none.
    ///
    /// # Errors
    /// [`Error`]: there is no CA in it.
    pub fn trusting(pem: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in files::parse(pem.as_bytes())? {
            roots.add(certificate).map_err(|error| Error::new(format!("a certificate that is none: {error}")))?;
        }
        Ok(Self::calling(config::client(None, Some(&Arc::new(roots)))?))
    }
}

/// Takes any certificate. That the other side has its key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that no parser looks into.
    const ONE: &str = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_hash_is_that_of_one_certificate() {
        let hex: String = fingerprint(ONE).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of abc");
        assert!(fingerprint(&format!("{ONE}{ONE}")).unwrap_err().to_string().starts_with("2 certificates"));
        assert!(fingerprint("").is_err() && Tls::trusting("").is_err() && Tls::trusting(ONE).is_err());
    }
}
