//! What went wrong between two sides, for people.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io;

/// As HTTP/2 has the answer of a port that is spoken to without TLS.
const WANTS_TLS: &str = "this port speaks TLS";
/// As rustls has what the other side ended a connection with.
const ALERT: &str = "received fatal alert: ";
/// Those of them that are about this side's certificate.
const ALERTS: [&str; 8] = [
    "UnknownCA",
    "BadCertificate",
    "CertificateExpired",
    "CertificateUnknown",
    "UnsupportedCertificate",
    "CertificateRevoked",
    "DecryptError",
    "CertificateRequired",
];

/// Why nothing was said to the other side, if TLS is why: who it is, or what it holds against this one. A call that ends so
/// was not carried out.
pub fn refused(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    explain(error).or_else(|| {
        // What comes once HTTP/2 has begun has gone through its words.
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if text.contains(WANTS_TLS) {
                return Some("it speaks TLS; use https://".to_owned());
            }
            let alert = text.split_once(ALERT).map_or("", |(_, alert)| alert);
            if let Some(alert) = ALERTS.into_iter().find(|known| alert.starts_with(*known)) {
                return Some(held_against(alert));
            }
            next = error.source();
        }
        None
    })
}

fn explain(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(words(found));
        }
        // What an io::Error is made of is not its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
            return Some(words(found));
        }
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<crate::Error>()) {
            return Some(found.to_string());
        }
        next = error.source();
    }
    None
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; use http:// if the network is trusted".to_owned()
        }
        Error::AlertReceived(alert) => alerted(*alert),
        error => error.to_string(),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer => "its certificate is not from a CA that is trusted here".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is a clock wrong?".to_owned()
        }
        CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let named = presented.join(", ");
            format!("its certificate is not for {} but for {named}", expected.to_str())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for this purpose".to_owned()
        }
        wrong => format!("its certificate is not good: {wrong}"),
    }
}

fn alerted(alert: AlertDescription) -> String {
    let alert = format!("{alert:?}");
    if ALERTS.contains(&alert.as_str()) { held_against(&alert) } else { format!("it ended the handshake ({alert})") }
}

fn held_against(alert: &str) -> String {
    format!("it refuses the certificate of this side ({alert}): see --tls-cert here and --tls-ca there")
}
