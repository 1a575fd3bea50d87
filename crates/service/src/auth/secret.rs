//! The text of a token, `baton_<id>.<secret>`, and the only places where it is made, read and compared.
//!
//! Must never be shown: its `Debug` says nothing, and there is no `Display`.

use crate::Fatal;
use domain::{Error, Result, TokenId};
use std::{fmt, fs, os::unix::fs::PermissionsExt as _, path::Path};

/// What every token begins with, so that people and scanners for leaked secrets know one.
const PREFIX: &str = "baton_";
/// Random bytes of a secret: nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;
/// Bytes of a file with a token: one line.
const FILE_BYTES: u64 = 4 * 1024;

/// A token's whole text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one, with its name and its hash.
    ///
    /// # Errors
    /// [`domain::Kind::Internal`] without randomness.
    pub fn draw() -> Result<(Self, TokenId, [u8; 32])> {
        let (mut name, mut secret) = ([0; 8], [0; SECRET_BYTES]);
        let drawn = getrandom::fill(&mut name).and_then(|()| getrandom::fill(&mut secret));
        drawn.map_err(|error| Error::internal(format!("no randomness: {error}")))?;
        let id = TokenId(u64::from_le_bytes(name));
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = hash(&secret);
        Ok((Self(format!("{PREFIX}{id}.{secret}")), id, hash))
    }

    /// What is in a file: one line. Whoever may read the file may call; so it must be readable by its owner and group alone.
    ///
    /// # Errors
    /// [`Fatal`], with a hint: it can't be read, others may read it, or no token is in it.
    pub fn read(file: &Path) -> Result<Self, Fatal> {
        Self::of(&line(file)?).ok_or_else(|| none(file))
    }

    /// A token's text, if it is one.
    pub(super) fn of(text: &str) -> Option<Self> {
        parse(text).map(|_| Self(text.to_owned()))
    }

    /// The text itself: for whoever sends it, or prints it the one time.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The line in a file that only some may read.
pub(super) fn line(file: &Path) -> Result<String, Fatal> {
    let shown = file.display();
    let unread = |error: std::io::Error| Fatal::new(format!("--token-file: cannot read {shown}: {error}"));
    let about = fs::metadata(file).map_err(unread)?;
    if about.permissions().mode() & 0o004 != 0 {
        return Err(Fatal::new(format!("--token-file: everybody on this machine may read {shown}"))
            .hint(format!("chmod 600 {shown}")));
    }
    if about.len() > FILE_BYTES {
        return Err(none(file));
    }
    fs::read_to_string(file).map(|text| text.trim().to_owned()).map_err(unread)
}

pub(super) fn none(file: &Path) -> Fatal {
    Fatal::new(format!("--token-file: there is no token in {}", file.display()))
        .hint("it must hold one line, as `baton token create` prints it: baton_<id>.<secret>")
}

/// A token that a caller brought: whom it names, and the hash of its secret.
pub(super) fn parse(text: &str) -> Option<(TokenId, [u8; 32])> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('.')?;
    let form = secret.len() == SECRET_BYTES * 2 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((id.parse().ok().filter(|_| form)?, hash(secret)))
}

/// Fast on purpose: of 256 random bits nobody tries many.
fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// Takes the same time whatever differs.
pub(super) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*a) == blake3::Hash::from_bytes(*b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_itself_and_shows_nothing() {
        let (secret, id, hash) = Secret::draw().unwrap();
        assert_eq!(parse(secret.text()), Some((id, hash)));
        assert_eq!(format!("{secret:?}"), "Secret");
        let (other, _, _) = Secret::draw().unwrap();
        assert_ne!(secret, other);
        let text = secret.text();
        for bad in
            [&text[1..], &text[..text.len() - 1], &text.replace('.', "-"), &format!("{text}0"), "", "baton_.", "x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(same(&hash, &hash) && !same(&hash, &[0; 32]));
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let (secret, _, _) = Secret::draw().unwrap();
        let with = |text: &str, mode| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&file)
        };
        assert_eq!(with(&format!("{}\n", secret.text()), 0o600).unwrap(), secret);
        assert_eq!(with(secret.text(), 0o440).unwrap(), secret);
        assert!(with(secret.text(), 0o644).unwrap_err().to_string().contains("everybody"));
        for bad in ["", "hello", "baton_1.2", &"x".repeat(5_000)] {
            let error = with(bad, 0o600).unwrap_err().to_string();
            assert!(error.contains("no token"), "{error}");
        }
        assert!(Secret::read(&dir.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}
