//! Joining: what a machine asks for with a key of its own, and what a scheduler that answers needs.
//!
//! Must never let a key leave the machine that it was made on.

use super::{Authority, failed, new_key};
use crate::{Fatal, peer};
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PublicKeyData as _};
use tls::Tls;
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};

/// A new key, in PEM.
///
/// # Errors
/// [`Fatal`]: no randomness.
pub fn key() -> Result<String, Fatal> {
    new_key().map(|key| key.serialize_pem())
}

/// A request for a certificate for this key (PKCS#10, in PEM). It names nobody: who it is for is said beside it.
///
/// # Errors
/// [`Fatal`]: there is no key in the PEM.
pub fn request(key: &str) -> Result<String, Fatal> {
    let key = KeyPair::from_pem(key).map_err(|error| Fatal::new(format!("this is no key: {error}")))?;
    let request = CertificateParams::default().serialize_request(&key).map_err(|error| failed(&error))?;
    request.pem().map_err(|error| failed(&error))
}

/// SHA-256 of the public key that a request is for: what its owner is known by, whatever certificates he gets.
///
/// # Errors
/// [`Fatal`] if it is no request, or is not signed with its own key.
pub fn requested_key(request: &str) -> Result<[u8; 32], Fatal> {
    Ok(tls::sha256(&read(request)?.public_key.subject_public_key_info()))
}

/// Whether a certificate, in PEM, is for this key, in PEM.
pub fn is_of(certificate: &str, key: &str) -> bool {
    let shown =
        parse_x509_pem(certificate.as_bytes()).ok().and_then(|(_, pem)| peer::key_of_certificate(&pem.contents));
    let own = KeyPair::from_pem(key).ok().map(|key| tls::sha256(&key.subject_public_key_info()));
    shown.is_some() && shown == own
}

pub(super) fn read(request: &str) -> Result<CertificateSigningRequestParams, Fatal> {
    let wrong = |error: rcgen::Error| Fatal::new(format!("this is no certificate request: {error}"));
    CertificateSigningRequestParams::from_pem(request).map_err(wrong)
}

impl Authority {
    /// SHA-256 of its certificate: what those who join know it by.
    ///
    /// # Errors
    /// [`Fatal`]: its file has more than one certificate.
    pub fn fingerprint(&self) -> Result<[u8; 32], Fatal> {
        tls::fingerprint(self.certificate()).map_err(|error| Fatal::new(format!("the CA's certificate: {error}")))
    }

    /// Whether those whom this service takes in by this CA could come back to it: it has to take their certificates, and
    /// they have to know its own.
    ///
    /// # Errors
    /// [`Fatal`] names the flag that is wrong.
    pub fn fits(&self, tls: &Tls) -> Result<(), Fatal> {
        let none = || Fatal::new("the CA has no certificate");
        let (_, pem) = parse_x509_pem(self.certificate().as_bytes()).map_err(|_| none())?;
        let ca = pem.parse_x509().map_err(|_| none())?;
        if !tls.trusts(&pem.contents) {
            return Err(Fatal::new(
                "the CA of --enrol-ca is not in --tls-ca: workers that join by it could not come in",
            )
            .hint("add its ca.crt to the file that --tls-ca names"));
        }
        let own = tls.certificate().unwrap_or_default();
        let known = parse_x509_certificate(&own).is_ok_and(|(_, own)| own.issuer().as_raw() == ca.subject().as_raw());
        if known {
            return Ok(());
        }
        Err(Fatal::new("--tls-cert is not from the CA of --enrol-ca: workers that join could not tell who this is")
            .hint("issue one by that CA: baton ca issue DIR --service scheduler --host HOST"))
    }
}
