//! A certificate authority for a small fleet, as two files: certificates for services and workers, and no others.
//!
//! Must never overwrite a file, and never put a name into a certificate that its caller didn't ask for.

mod enrol;
mod files;
mod names;

pub use enrol::{is_of, key, request, requested_key};
pub use names::Host;

use crate::{Fatal, PeerName};
use files::{CA_CERT, CA_KEY};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use x509_parser::{pem::parse_x509_pem, prelude::X509Certificate};

/// As long as a CA lasts unless it is told otherwise: replacing one means touching every machine.
pub const CA_DAYS: u32 = 3_650;
/// As long as other certificates last unless they are told otherwise: so that renewing them isn't forgotten for years.
pub const DAYS: u32 = 397;
/// The longest that may be asked for; dates stay below the year 2100 for some decades.
pub const DAYS_MAX: u32 = 20 * 365;
/// Certificates begin a little before they are made: clocks differ.
const BACKDATED: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Twice what RFC 5280 asks for of random serial numbers, and within its 20 bytes.
const SERIAL_BYTES: usize = 16;

/// A CA whose key is at hand.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key.
pub struct Issued {
    /// In PEM.
    pub certificate: String,
    /// In PEM.
    pub key: String,
}

/// Where something was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, readable by its owner only.
    pub key: PathBuf,
    /// The CA's certificate: what others have to know.
    pub ca: PathBuf,
}

impl Authority {
    /// Makes a CA that lasts so many days, in a directory that has none.
    ///
    /// # Errors
    /// [`Fatal`]: there is one, or the directory can't be written.
    pub fn init(dir: &Path, days: u32) -> Result<Written, Fatal> {
        files::directory(dir)?;
        let (certificate, key_file) = (dir.join(CA_CERT), dir.join(CA_KEY));
        for file in [&certificate, &key_file] {
            if file.exists() {
                let text = format!("{} is there already: a CA is never overwritten", file.display());
                return Err(
                    Fatal::new(text).hint("choose another directory; certificates of a lost CA are worth nothing")
                );
            }
        }
        let key = new_key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("Baton CA {}", short(&key)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lasting(&mut params, days)?;
        let made = params.self_signed(&key).map_err(|error| failed(&error))?;
        files::write_key(&key_file, &key.serialize_pem())?;
        files::write_certificate(&certificate, &made.pem())?;
        Ok(Written { ca: certificate.clone(), certificate, key: key_file })
    }

    /// The CA of a directory.
    ///
    /// # Errors
    /// [`Fatal`] names the file.
    pub fn open(dir: &Path) -> Result<Self, Fatal> {
        let (certificate, key_file) = (dir.join(CA_CERT), dir.join(CA_KEY));
        let read = |file: &Path| {
            files::read(file).map_err(|error| {
                let fatal = Fatal::new(format!("cannot read {}: {error}", file.display()));
                if error.kind() == io::ErrorKind::NotFound {
                    fatal.hint(format!("make a CA with: baton ca init {}", dir.display()))
                } else {
                    fatal
                }
            })
        };
        let (pem, key) = (read(&certificate)?, read(&key_file)?);
        let wrong = |file: &Path, error: &dyn fmt::Display| Fatal::new(format!("{}: {error}", file.display()));
        let key = KeyPair::from_pem(&key).map_err(|error| wrong(&key_file, &error))?;
        let (_, parsed) = parse_x509_pem(pem.as_bytes()).map_err(|error| wrong(&certificate, &error))?;
        let parsed: X509Certificate<'_> = parsed.parse_x509().map_err(|error| wrong(&certificate, &error))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(wrong(&certificate, &format_args!("is not the certificate of {}", key_file.display())));
        }
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| wrong(&certificate, &error))?;
        Ok(Self { issuer, pem })
    }

    /// The CA's certificate, in PEM: what everybody who trusts it has to know.
    pub fn certificate(&self) -> &str {
        &self.pem
    }

    /// A certificate with a new key: for a service, or for a worker. Whoever calls it finds it under these hosts; without
    /// any it is good for calling others only.
    ///
    /// # Errors
    /// [`Fatal`]: no randomness, or days beyond [`DAYS_MAX`].
    pub fn issue(&self, name: &PeerName, hosts: &[Host], days: u32) -> Result<Issued, Fatal> {
        let key = new_key()?;
        let certificate = self.certify(&key, name, hosts, days)?;
        Ok(Issued { certificate, key: key.serialize_pem() })
    }

    /// A certificate for a worker that made its key itself and sends a request for it (PKCS#10, in PEM). Of the request only
    /// the key counts: what it says of itself is its own opinion.
    ///
    /// # Errors
    /// [`Fatal`] if it is no request, or is not signed with its own key.
    pub fn sign_worker(&self, request: &str, id: &str) -> Result<String, Fatal> {
        let request = enrol::read(request)?;
        self.certify(&request.public_key, &PeerName::Worker(id.into()), &[], DAYS)
    }

    fn certify(&self, key: &impl PublicKeyData, name: &PeerName, hosts: &[Host], days: u32) -> Result<String, Fatal> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(match name {
            PeerName::Service(name) | PeerName::Worker(name) => name,
        });
        params.subject_alt_names = names::of(name, hosts)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !hosts.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        lasting(&mut params, days)?;
        params.signed_by(key, &self.issuer).map(|made| made.pem()).map_err(|error| failed(&error))
    }
}

impl Issued {
    /// Writes both and a copy of the CA's certificate into a directory, as `NAME.crt`, `NAME.key` and `ca.crt`.
    ///
    /// # Errors
    /// [`Fatal`]: one is there already, or can't be written.
    pub fn write(&self, dir: &Path, name: &PeerName, authority: &Authority) -> Result<Written, Fatal> {
        files::directory(dir)?;
        let name = names::file(name);
        let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        for file in [&certificate, &key] {
            if file.exists() {
                let text = format!("{} is there already, and is not overwritten", file.display());
                return Err(Fatal::new(text).hint("write it elsewhere with --out DIR, then move it over the old one"));
            }
        }
        let ca = dir.join(CA_CERT);
        match files::read(&ca) {
            Ok(known) if known == authority.pem => {}
            Ok(_) => return Err(Fatal::new(format!("{} is the certificate of another CA", ca.display()))),
            Err(_) => files::write_certificate(&ca, &authority.pem)?,
        }
        files::write_key(&key, &self.key)?;
        files::write_certificate(&certificate, &self.certificate)?;
        Ok(Written { certificate, key, ca })
    }
}

/// What every TLS library takes.
fn new_key() -> Result<KeyPair, Fatal> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Tells CAs of the same fleet apart, old from new.
fn short(key: &KeyPair) -> String {
    key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn lasting(params: &mut CertificateParams, days: u32) -> Result<(), Fatal> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Fatal::new(format!("--days must be 1 to {DAYS_MAX}")));
    }
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial).map_err(|error| Fatal::new(format!("no randomness: {error}")))?;
    // Positive, and as long as it looks.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + DAY * days).into();
    Ok(())
}

fn failed(error: &rcgen::Error) -> Fatal {
    Fatal::new(format!("the certificate could not be made: {error}"))
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pem", &self.pem).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
