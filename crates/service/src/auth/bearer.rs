//! What a service brings along when it calls another one: its own token, from a file.

use crate::{Fatal, Secret};
use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Adds the token to every call; without one, nothing. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Bearer {
    file: Option<Arc<Path>>,
    value: Arc<RwLock<Option<MetadataValue<Ascii>>>>,
}

impl Bearer {
    /// With the token in this file, if one is named. A file that isn't there yet may come: a scheduler makes some when it
    /// first starts.
    ///
    /// # Errors
    /// [`Fatal`] as [`Secret::read`].
    pub fn of_file(file: Option<&Path>) -> Result<Self, Fatal> {
        let there = file.filter(|file| file.exists());
        if let Some(file) = file.filter(|_| there.is_none()) {
            tracing::warn!(file = %file.display(), "The file with the token is not there yet");
        }
        let value = there.map(|file| Secret::read(file).map(|secret| value(&secret))).transpose()?.flatten();
        Ok(Self { file: file.map(Arc::from), value: Arc::new(RwLock::new(value)) })
    }

    /// With this token, whatever becomes of any file.
    pub fn of(secret: &Secret) -> Self {
        Self { file: None, value: Arc::new(RwLock::new(value(secret))) }
    }

    /// Reads the file again, so that a token can be replaced without a restart. What can't be read changes nothing.
    pub fn refresh(&self) {
        let Some(file) = &self.file else { return };
        match Secret::read(file) {
            Ok(secret) => *self.value.write().unwrap_or_else(PoisonError::into_inner) = value(&secret),
            Err(error) => tracing::debug!(%error, "The token stays as it is"),
        }
    }

    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        self.file.is_some()
    }

    /// As [`Interceptor::call`], for interceptors that do more.
    pub fn add<T>(&self, request: &mut Request<T>) {
        if let Some(value) = &*self.value.read().unwrap_or_else(PoisonError::into_inner) {
            request.metadata_mut().insert("authorization", value.clone());
        }
    }
}

/// Marked as sensitive: it is in no table of compressed headers and in no `Debug`.
fn value(secret: &Secret) -> Option<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(format!("Bearer {}", secret.text())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.add(&mut request);
        Ok(request)
    }
}
