//! The files, by the flags that name them.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A certificate chain or a list of CAs has some kilobytes: what is larger is another file.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Permission bits of everybody but the owner and the group.
const OTHERS: u32 = 0o007;

/// Where certificates and keys are, in PEM.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// This side's certificate, with those between it and its CA: `--tls-cert`.
    pub cert: Option<PathBuf>,
    /// Its key: `--tls-key`.
    pub key: Option<PathBuf>,
    /// The CAs whose certificates are trusted; without it, for those that this side calls, the system's.
    pub ca: Option<PathBuf>,
    /// The flag that names `ca`.
    pub ca_flag: &'static str,
}

/// What is wrong with a file, by the flag that names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(String);

impl Error {
    pub(crate) fn of(flag: &str, file: &Path, why: impl fmt::Display) -> Self {
        Self(format!("{flag} {}: {why}", file.display()))
    }

    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// This side's certificate and key, as read.
pub(crate) struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// For errors about both together.
    pub cert_file: PathBuf,
}

/// Changes whenever a file does: place on the disk, size, and time of the last change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stamp(Vec<Option<(u64, u64, i64, i64)>>);

impl Files {
    /// What this side shows of itself, if it has anything to show.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let (cert, key) = match (&self.cert, &self.key) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (Some(_), None) => return Err(Error::new("--tls-cert needs --tls-key, the key of that certificate")),
            (None, Some(_)) => return Err(Error::new("--tls-key needs --tls-cert, the certificate of that key")),
        };
        let chain = certificates("--tls-cert", cert)?;
        let bytes = read("--tls-key", key)?;
        let parsed = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            Error::of("--tls-key", key, "has no private key in PEM (-----BEGIN PRIVATE KEY-----) without a password")
        })?;
        if fs::metadata(key).is_ok_and(|meta| meta.mode() & OTHERS != 0) {
            tracing::warn!(file = %key.display(), "Everybody on this machine may read the key; chmod 600 helps");
        }
        Ok(Some(Identity { chain, key: parsed, cert_file: cert.clone() }))
    }

    /// The CAs, if any are named.
    pub(crate) fn authorities(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        self.ca.as_deref().map(|file| certificates(self.ca_flag, file)).transpose()
    }

    /// How the files are now; one that can't be looked at is as one that is away.
    pub(crate) fn stamp(&self) -> Stamp {
        let look = |file: &PathBuf| {
            let meta = fs::metadata(file).ok()?;
            Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
        };
        Stamp([&self.cert, &self.key, &self.ca].into_iter().flatten().map(look).collect())
    }
}

fn certificates(flag: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    parse(&read(flag, file)?).map_err(|why| Error::of(flag, file, why))
}

/// The certificates of a text, one at least.
pub(crate) fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(Error::new("has no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        Err(error) => Err(Error::new(format!("is not PEM: {error}"))),
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, Error> {
    let cannot = |error: std::io::Error| Error::of(flag, file, format!("cannot be read: {error}"));
    let meta = fs::metadata(file).map_err(cannot)?;
    if !meta.is_file() || meta.len() > FILE_BYTES {
        return Err(Error::of(flag, file, "is no file with a certificate or a key"));
    }
    fs::read(file).map_err(cannot)
}
