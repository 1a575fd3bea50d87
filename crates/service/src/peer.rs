//! Who is at the other end of a connection, as far as the connection itself says.
//!
//! Must never decide what anybody may do.

use std::net::SocketAddr;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// What the names in certificates begin with.
const SERVICE: &str = "baton://service/";
const WORKER: &str = "baton://worker/";

/// The other end of the connection that a request came on: in the extensions of every request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Who it is, by a certificate that was verified.
    pub name: Option<PeerName>,
    /// SHA-256 of the public key in that certificate.
    pub key: Option<[u8; 32]>,
}

/// A name in a certificate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PeerName {
    /// `baton://service/NAME`: `gateway`, `scheduler`.
    Service(String),
    /// `baton://worker/ID`.
    Worker(String),
}

impl PeerName {
    /// As it stands in a certificate.
    pub fn uri(&self) -> String {
        match self {
            Self::Service(name) => format!("{SERVICE}{}", encode(name)),
            Self::Worker(id) => format!("{WORKER}{}", encode(id)),
        }
    }

    /// Reads what [`Self::uri`] writes, and nothing else: no second way to write a name.
    pub fn parse(uri: &str) -> Option<Self> {
        let name = if let Some(name) = uri.strip_prefix(SERVICE) {
            Self::Service(decode(name)?)
        } else {
            Self::Worker(decode(uri.strip_prefix(WORKER)?)?)
        };
        (name.uri() == uri).then_some(name)
    }

    /// The name in a certificate that was verified, in DER. One that says two names says none.
    pub(crate) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut found = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with("baton:") => Some(Self::parse(uri)),
            _ => None,
        });
        match (found.next(), found.next()) {
            (Some(name), None) => name,
            (Some(_) | None, _) => None,
        }
    }
}

/// SHA-256 of the public key in a certificate in DER: of all of its SubjectPublicKeyInfo.
pub(crate) fn key_of_certificate(der: &[u8]) -> Option<[u8; 32]> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| tls::sha256(certificate.public_key().raw))
}

/// Until when a certificate in DER is valid, in Unix seconds.
pub(crate) fn valid_until(der: &[u8]) -> Option<i64> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate.validity().not_after.timestamp())
}

/// URIs are ASCII: other bytes, and those that mean something in one, become `%XX`.
fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_in_one_way_only() {
        for name in ["w1", "a b", "ümlaut/../x", "100%"] {
            let worker = PeerName::Worker(name.into());
            assert!(worker.uri().is_ascii() && worker.uri().starts_with(WORKER), "{}", worker.uri());
            assert_eq!(PeerName::parse(&worker.uri()), Some(worker));
        }
        let gateway = PeerName::Service("gateway".into());
        assert_eq!(PeerName::parse("baton://service/gateway"), Some(gateway));
        for other in [
            "baton://worker/",
            "baton://worker/a/b",
            "baton://worker/a%2fb",
            "baton://worker/%61",
            "baton://worker/%F",
            "baton://worker/%FF",
            "BATON://worker/a",
            "baton://admin/a",
            "spiffe://worker/a",
            "",
        ] {
            assert_eq!(PeerName::parse(other), None, "{other}");
        }
    }
}
