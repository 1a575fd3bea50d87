//! A CA, from its files to what its certificates say.

use super::*;
use rcgen::SanType;
use std::{fs, os::unix::fs::PermissionsExt as _};
use tls::Tls;

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

#[test]
fn a_key_is_the_same_in_its_request_and_in_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    Authority::init(dir.path(), CA_DAYS).unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let (own, other) = (key().unwrap(), key().unwrap());
    let request = request(&own).unwrap();
    let signed = authority.sign_worker(&request, "w").unwrap();
    assert_eq!(crate::peer::key_of_certificate(&der(&signed)), requested_key(&request).ok());
    assert!(is_of(&signed, &own) && !is_of(&signed, &other) && !is_of("", &own) && !is_of(&signed, ""));
    assert!(requested_key("no request").is_err() && super::request("no key").is_err());
    assert_eq!(authority.fingerprint().unwrap(), tls::sha256(&der(authority.certificate())));
    // What revokes certificates must not be forgotten before they end.
    let lasts = domain::limits::ENROLLED_LIFE.as_secs() as i64;
    assert!(crate::peer::valid_until(&der(&signed)).unwrap() < jiff::Timestamp::now().as_second() + lasts);
}

#[test]
fn a_scheduler_takes_in_only_those_whom_it_would_let_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [one, other] = ["one", "other"].map(|which| {
        Authority::init(&at(which), CA_DAYS).unwrap();
        let authority = Authority::open(&at(which)).unwrap();
        let name = PeerName::Service("scheduler".into());
        let issued = authority.issue(&name, &["localhost".parse().unwrap()], 30).unwrap();
        let written = issued.write(&at(&format!("of-{which}")), &name, &authority).unwrap();
        (authority, written)
    });
    let load = |own: &Written, ca: Option<PathBuf>| {
        let (cert, key) = (Some(own.certificate.clone()), Some(own.key.clone()));
        Tls::load(tls::Files { cert, key, ca, ca_flag: "--tls-ca" }).unwrap()
    };
    let said = |tls: &Tls| one.0.fits(tls).map_err(|fatal| fatal.to_string());
    assert_eq!(said(&load(&one.1, Some(one.1.ca.clone()))), Ok(()));
    for (own, ca, flag) in [
        (&one.1, None, "--tls-ca:"),
        (&one.1, Some(other.1.ca.clone()), "--tls-ca:"),
        (&other.1, Some(one.1.ca.clone()), "--tls-cert"),
    ] {
        let text = said(&load(own, ca)).unwrap_err();
        assert!(text.contains(flag), "{text}");
    }
}
