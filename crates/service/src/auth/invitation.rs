//! What a machine joins with: a token of the scope `enrol`, and behind it the hash of the CA by which it tells its scheduler
//! from others: `baton_<id>.<secret>.<hash>`.
//!
//! Must never be sent whole, nor to anybody who isn't known by that CA: what is sent is the token.

use super::{Secret, secret};
use crate::Fatal;
use std::path::Path;

/// Bytes of a SHA-256 in hex.
const HASH_CHARS: usize = 64;

/// A token for joining.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    secret: Secret,
    ca: Option<[u8; 32]>,
}

impl Invitation {
    /// This token, for those who are to know the scheduler by the CA whose certificate has this SHA-256.
    pub fn new(secret: Secret, ca: Option<[u8; 32]>) -> Self {
        Self { secret, ca }
    }

    /// What is in a file, as [`Secret::read`].
    ///
    /// # Errors
    /// [`Fatal`], with a hint: it can't be read, others may read it, or no token is in it.
    pub fn read(file: &Path) -> Result<Self, Fatal> {
        parse(&secret::line(file)?).ok_or_else(|| secret::none(file))
    }

    /// What is sent.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// SHA-256 of the CA's certificate, if it says so.
    pub fn ca(&self) -> Option<[u8; 32]> {
        self.ca
    }

    /// All of it: for whoever prints it the one time.
    pub fn text(&self) -> String {
        let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let secret = self.secret.text();
        self.ca.map_or_else(|| secret.to_owned(), |hash| format!("{secret}.{}", hex(hash)))
    }
}

fn parse(text: &str) -> Option<Invitation> {
    if let Some(secret) = Secret::of(text) {
        return Some(Invitation { secret, ca: None });
    }
    let (secret, hex) = text.rsplit_once('.')?;
    if hex.len() != HASH_CHARS || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Invitation { secret: Secret::of(secret)?, ca: Some(hash) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_a_token_and_a_hash_or_a_token() {
        let (secret, _, _) = Secret::draw().unwrap();
        for ca in [None, Some([0xab; 32])] {
            let invitation = Invitation::new(secret.clone(), ca);
            assert_eq!(parse(&invitation.text()), Some(invitation));
        }
        let text = Invitation::new(secret.clone(), Some([0xab; 32])).text();
        assert_eq!((text.starts_with(secret.text()), text.len()), (true, secret.text().len() + 1 + HASH_CHARS));
        assert_eq!(Secret::of(&text), None, "no service takes it for a token");
        for bad in ["", ".", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.replace("ab", "+b")] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(!format!("{:?}", Invitation::new(secret.clone(), None)).contains(&secret.text()[23..]));
    }
}
