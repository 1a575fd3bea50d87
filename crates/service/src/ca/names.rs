//! The names in a certificate: who it is, and where it is called.

use crate::{Fatal, PeerName};
use rcgen::{SanType, string::Ia5String};
use std::{net::IpAddr, str::FromStr};

/// Bytes of a host name, as DNS has it.
const HOST_BYTES: usize = 253;
const PART_BYTES: usize = 63;

/// A host by which a service is called: a name or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// `gateway.example.org`, `*.example.org`.
    Name(String),
    /// `10.0.0.5`, `::1`.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::Address(address));
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let good = |part: &str| {
            let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            inner && !part.is_empty() && part.len() <= PART_BYTES && !part.starts_with('-') && !part.ends_with('-')
        };
        if name.len() <= HOST_BYTES && name.strip_prefix("*.").unwrap_or(&name).split('.').all(good) {
            return Ok(Self::Name(name));
        }
        Err("is no name or address of a host, such as gateway.example.org or 10.0.0.5".to_owned())
    }
}

/// Who it is and where, as the certificate has it.
pub(super) fn of(name: &PeerName, hosts: &[Host]) -> Result<Vec<SanType>, Fatal> {
    // Both are ASCII, by how they were made.
    let ascii = |text: &str| Ia5String::try_from(text).map_err(|error| Fatal::new(format!("{text}: {error}")));
    let mut names = vec![SanType::URI(ascii(&name.uri())?)];
    for host in hosts {
        names.push(match host {
            Host::Name(name) => SanType::DnsName(ascii(name)?),
            Host::Address(address) => SanType::IpAddress(*address),
        });
    }
    Ok(names)
}

/// What its files are called: `gateway`, `worker-w1`. A worker's id may be anything; a file's name may not.
pub(super) fn file(name: &PeerName) -> String {
    let uri = name.uri();
    match name {
        PeerName::Service(_) => uri.rsplit('/').next().unwrap_or_default().to_owned(),
        PeerName::Worker(_) => format!("worker-{}", uri.rsplit('/').next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_else() {
        for good in ["localhost", "Gateway.Example.org.", "*.example.org", "10.0.0.5", "::1", "[::1]", "a_b", "7seas"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "http://x", "x:50051", "-a", "a..b", "*", "*.*.org", "a/b", "ü", &"a".repeat(64)] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_workers_files_stay_in_their_directory() {
        assert_eq!(file(&PeerName::Worker("../../etc/x".into())), "worker-..%2F..%2Fetc%2Fx");
        assert_eq!(file(&PeerName::Service("gateway".into())), "gateway");
    }
}
