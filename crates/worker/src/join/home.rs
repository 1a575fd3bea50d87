//! What joining leaves in the data directory: a key, then the CA, then the certificate. Who has that has joined.
//!
//! Each file is there whole or not at all, also after a crash of the machine.

use service::{Fatal, TlsOptions, ca};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

const KEY: &str = "worker.key";
const CA: &str = "ca.crt";
const CERTIFICATE: &str = "worker.crt";

/// The data directory, as far as joining is concerned.
pub(super) struct Home(PathBuf);

impl Home {
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Whether there is nothing left to ask for.
    pub fn has_joined(&self) -> bool {
        self.0.join(CERTIFICATE).exists()
    }

    /// The key, in PEM; made if there is none.
    ///
    /// # Errors
    /// [`Fatal`] names the file.
    pub fn key(&self) -> Result<String, Fatal> {
        let file = self.0.join(KEY);
        match fs::read_to_string(&file) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = ca::key()?;
                self.put(KEY, &key, 0o600)?;
                Ok(key)
            }
            Err(error) => Err(Fatal::new(format!("cannot read {}: {error}", file.display()))),
        }
    }

    /// It has joined.
    ///
    /// # Errors
    /// [`Fatal`] names the file that can't be written.
    pub fn settle(&self, authority: &str, certificate: &str) -> Result<(), Fatal> {
        self.put(CA, authority, 0o644)?;
        self.put(CERTIFICATE, certificate, 0o644)
    }

    /// What a worker that has joined shows, and whom it trusts.
    pub fn tls(&self) -> TlsOptions {
        let at = |file: &str| Some(self.0.join(file));
        TlsOptions { tls_cert: at(CERTIFICATE), tls_key: at(KEY), tls_ca: at(CA) }
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> Result<(), Fatal> {
        let file = self.0.join(name);
        self.replace(&file, text, mode).map_err(|error| Fatal::new(format!("cannot write {}: {error}", file.display())))
    }

    fn replace(&self, file: &Path, text: &str, mode: u32) -> io::Result<()> {
        let new = file.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut open = File::options().write(true).create_new(true).mode(mode).open(&new)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&new, file)?;
        File::open(&self.0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        // What a crash left is no key.
        fs::write(dir.path().join("worker.new"), "half").unwrap();
        let key = home.key().unwrap();
        assert!(key.contains("PRIVATE KEY") && !home.has_joined());
        assert_eq!(fs::metadata(dir.path().join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(home.key().unwrap(), key);
        home.settle("the CA", "the certificate").unwrap();
        assert!(home.has_joined());
        let read = |file: Option<PathBuf>| fs::read_to_string(file.unwrap()).unwrap();
        let TlsOptions { tls_cert, tls_key, tls_ca } = home.tls();
        assert_eq!((read(tls_cert).as_str(), read(tls_ca).as_str(), read(tls_key)), ("the certificate", "the CA", key));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
    }
}
