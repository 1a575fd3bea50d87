//! A CA, from its files to what its certificates say.

use super::*;
use rcgen::SanType;
use std::{fs, os::unix::fs::PermissionsExt as _};

fn der(pem: &str) -> Vec<u8> {
    parse_x509_pem(pem.as_bytes()).unwrap().1.contents
}

#[test]
fn a_ca_is_made_once_and_its_key_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("ca");
    let written = Authority::init(&dir, CA_DAYS).unwrap();
    assert_eq!(fs::metadata(&written.key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = (fs::read(&written.key).unwrap(), fs::read(&written.certificate).unwrap());
    let error = Authority::init(&dir, CA_DAYS).unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "{error}");
    fs::remove_file(&written.certificate).unwrap();
    assert!(Authority::init(&dir, CA_DAYS).is_err(), "the key alone is enough");
    fs::write(&written.certificate, &before.1).unwrap();
    assert_eq!((fs::read(&written.key).unwrap(), fs::read(&written.certificate).unwrap()), before);
}

#[test]
fn certificates_say_who_and_where_and_are_written_once() {
    let dir = tempfile::tempdir().unwrap();
    Authority::init(dir.path(), CA_DAYS).unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let name = PeerName::Service("gateway".into());
    let hosts = ["gateway.example.org".parse().unwrap(), "10.0.0.5".parse().unwrap()];
    let issued = authority.issue(&name, &hosts, 30).unwrap();
    let der = der(&issued.certificate);
    assert_eq!(PeerName::of_certificate(&der), Some(name.clone()));
    let in_a_month = jiff::Timestamp::now().as_second() + 30 * 24 * 3_600;
    assert!((in_a_month - crate::peer::valid_until(&der).unwrap()).abs() < 60);
    let out = dir.path().join("out");
    let written = issued.write(&out, &name, &authority).unwrap();
    assert_eq!(fs::metadata(&written.key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&written.ca).unwrap(), authority.certificate());
    assert!(issued.write(&out, &name, &authority).is_err());
    assert!(authority.issue(&name, &hosts, 0).is_err() && authority.issue(&name, &hosts, DAYS_MAX + 1).is_err());
}

#[test]
fn of_a_request_only_its_key_counts() {
    let dir = tempfile::tempdir().unwrap();
    Authority::init(dir.path(), CA_DAYS).unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let key = new_key().unwrap();
    let mut params = CertificateParams::default();
    let uri = PeerName::Service("scheduler".into()).uri();
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.is_ca = IsCa::NoCa;
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let signed = der(&authority.sign_worker(&request, "w 1").unwrap());
    assert_eq!(PeerName::of_certificate(&signed), Some(PeerName::Worker("w 1".into())));
    let (_, parsed) = x509_parser::parse_x509_certificate(&signed).unwrap();
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !parsed.is_ca());
    assert_eq!(parsed.public_key().raw, key.subject_public_key_info());
    for bad in ["", "no request", authority.certificate(), &request.replace('M', "N")] {
        assert!(authority.sign_worker(bad, "w").is_err());
    }
}

#[test]
fn a_ca_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Authority::open(dir.path()).unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains("baton ca init")), "{error}");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    Authority::init(&one, CA_DAYS).unwrap();
    Authority::init(&other, CA_DAYS).unwrap();
    fs::copy(other.join(CA_KEY), one.join(CA_KEY)).unwrap();
    let error = Authority::open(&one).unwrap_err().to_string();
    assert!(error.contains("is not the certificate of"), "{error}");
}

#[test]
fn a_certificate_with_two_names_has_none() {
    let key = new_key().unwrap();
    let mut params = CertificateParams::default();
    let uri = |name: PeerName| SanType::URI(name.uri().as_str().try_into().unwrap());
    params.subject_alt_names = vec![uri(PeerName::Worker("a".into())), uri(PeerName::Worker("b".into()))];
    let both = params.self_signed(&key).unwrap();
    assert_eq!(PeerName::of_certificate(both.der()), None);
    params.subject_alt_names.pop();
    let one = params.self_signed(&key).unwrap();
    assert_eq!(PeerName::of_certificate(one.der()), Some(PeerName::Worker("a".into())));
}
