//! One service's TLS: read at its start, and again whenever the files change.
//!
//! Connections that are open keep what they began with. Files that are wrong change nothing: the old ones stay in use.

use crate::{
    config,
    files::{Error, Files, Identity, Stamp},
};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files. They are read when they have changed and then stood still for one look, so that a
/// certificate isn't read without its new key.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files of a service, as last read. Clones share them.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<watch::Sender<Arc<Current>>>,
}

struct Current {
    server: Option<TlsAcceptor>,
    identity: Option<Identity>,
    roots: Option<Arc<RootCertStore>>,
    /// Made when somebody is called: most services don't, and the system's CAs are many.
    client: OnceLock<Result<Arc<ClientConfig>, Error>>,
}

impl Tls {
    /// Reads the files. Without any, nothing is served over TLS, and the system's CAs are asked about those that are called.
    ///
    /// # Errors
    /// [`Error`] names the flag and the file.
    pub fn load(files: Files) -> Result<Self, Error> {
        let current = Arc::new(read(&files)?);
        Ok(Self { files: Arc::new(files), current: Arc::new(watch::Sender::new(current)) })
    }

    /// Neither certificate nor CA.
    pub fn off() -> Self {
        let current = Current { server: None, identity: None, roots: None, client: OnceLock::new() };
        Self { files: Arc::default(), current: Arc::new(watch::Sender::new(Arc::new(current))) }
    }

    /// Calls others in this way, and serves nothing.
    pub(crate) fn calling(config: ClientConfig) -> Self {
        let client = OnceLock::from(Ok(Arc::new(config)));
        let current = Current { server: None, identity: None, roots: None, client };
        Self { files: Arc::default(), current: Arc::new(watch::Sender::new(Arc::new(current))) }
    }

    /// Whether callers' certificates from this CA, in DER, are taken.
    pub fn trusts(&self, ca: &[u8]) -> bool {
        let mut one = RootCertStore::empty();
        let added = one.add(ca.to_vec().into());
        let current = Arc::clone(&self.current.borrow());
        added.is_ok() && current.roots.as_ref().is_some_and(|roots| roots.roots.contains(&one.roots[0]))
    }

    /// What takes a connection now; `None`: connections are taken as they come.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        self.current.borrow().server.clone()
    }

    /// Whether connections are taken over TLS only.
    pub fn serves(&self) -> bool {
        self.current.borrow().server.is_some()
    }

    /// The leaf of this side's certificate, in DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.current.borrow().identity.as_ref().and_then(|identity| identity.chain.first()).map(|leaf| leaf.to_vec())
    }

    /// How others are called now.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let current = Arc::clone(&self.current.borrow());
        let made = current
            .client
            .get_or_init(|| config::client(current.identity.as_ref(), current.roots.as_ref()).map(Arc::new));
        made.clone()
    }

    /// Looks at the files again and again, and calls `changed` after they were read. Never returns.
    pub async fn follow(&self, mut changed: impl FnMut()) {
        if self.files.cert.is_none() && self.files.ca.is_none() {
            return std::future::pending().await;
        }
        let mut used = self.look().await;
        let mut seen = used.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.look().await;
            if now != used && now == seen {
                self.read_again().await;
                changed();
                used = now.clone();
            }
            seen = now;
        }
    }

    /// Disks can be slow, also when only a few bytes are asked for: not on the thread of everything else.
    async fn look(&self) -> Stamp {
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || files.stamp()).await.unwrap_or_default()
    }

    async fn read_again(&self) {
        let files = Arc::clone(&self.files);
        match tokio::task::spawn_blocking(move || read(&files)).await {
            Ok(Ok(current)) => {
                self.current.send_replace(Arc::new(current));
                tracing::info!("Certificates were read again");
            }
            Ok(Err(error)) => tracing::error!(%error, "New certificates are wrong: the old ones stay in use"),
            Err(error) => tracing::error!(%error, "Certificates can't be read: the old ones stay in use"),
        }
    }
}

fn read(files: &Files) -> Result<Current, Error> {
    let identity = files.identity()?;
    let roots = config::roots(files)?;
    let server: Option<ServerConfig> =
        identity.as_ref().map(|identity| config::server(identity, roots.as_ref())).transpose()?;
    let server = server.map(|config| TlsAcceptor::from(Arc::new(config)));
    Ok(Current { server, identity, roots, client: OnceLock::new() })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
