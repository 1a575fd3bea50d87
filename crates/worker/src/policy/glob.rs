//! Patterns of a policy: `*` stands for anything within one part of a path, `**` for anything, `?` for one character that
//! isn't `/`. Everything else stands for itself.
//!
//! Matching must never take longer than pattern times text: the text comes from whoever submits tasks.

use serde::Deserialize;

/// One pattern.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Glob(Vec<Piece>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    /// This character.
    Char(char),
    /// One that isn't `/`.
    One,
    /// Any number of those.
    Within,
    /// Any number of any.
    Across,
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern must not be empty".to_owned());
        }
        let mut pieces = Vec::new();
        for c in text.chars() {
            let piece = match c {
                '*' if pieces.last() == Some(&Piece::Within) => {
                    pieces.pop();
                    Piece::Across
                }
                '*' if pieces.last() == Some(&Piece::Across) => {
                    return Err(format!("`{text}` has more than two `*` in a row"));
                }
                '*' => Piece::Within,
                '?' => Piece::One,
                c => Piece::Char(c),
            };
            pieces.push(piece);
        }
        Ok(Self(pieces))
    }
}

impl Glob {
    /// Whether it begins at the root.
    pub fn is_absolute(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Char('/') | Piece::Across))
    }

    /// Whether all of this text fits.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // After each piece: which beginnings of the text fit what has been seen of the pattern.
        let mut fits = vec![false; text.len() + 1];
        if let Some(first) = fits.first_mut() {
            *first = true;
        }
        for piece in &self.0 {
            let mut next = Vec::with_capacity(fits.len());
            for (length, &before) in fits.iter().enumerate() {
                let last = length.checked_sub(1).and_then(|at| Some((*text.get(at)?, *fits.get(at)?, *next.get(at)?)));
                next.push(match (piece, last) {
                    (Piece::Within | Piece::Across, None) => before,
                    (Piece::Char(_) | Piece::One, None) => false,
                    (Piece::Char(c), Some((last, shorter, _))) => shorter && last == *c,
                    (Piece::One, Some((last, shorter, _))) => shorter && last != '/',
                    (Piece::Within, Some((last, _, longer))) => before || (longer && last != '/'),
                    (Piece::Across, Some((_, _, longer))) => before || longer,
                });
            }
            fits = next;
        }
        fits.last() == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::try_from(pattern.to_owned()).expect("a pattern").matches(text)
    }

    #[test]
    fn a_star_stays_in_its_part_of_the_path_and_two_do_not() {
        for (pattern, text) in [
            ("/usr/bin/make", "/usr/bin/make"),
            ("/opt/jobs/*", "/opt/jobs/nightly"),
            ("/opt/**", "/opt/jobs/nightly"),
            ("/opt/**/x", "/opt/a/b/x"),
            ("build-?", "build-7"),
            ("*-ci-*", "a-ci-b"),
            ("registry.example.org/ci/*", "registry.example.org/ci/rust:1.95"),
            ("**", "anything/at all"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/usr/bin/make", "/usr/bin/make2"),
            ("/usr/bin/make", "/usr/bin/mak"),
            ("/opt/jobs/*", "/opt/jobs/a/b"),
            ("/opt/jobs/*", "/opt/jobs"),
            ("build-?", "build-"),
            ("build-?", "build-/"),
            ("a.c", "abc"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for bad in ["", "a***b"] {
            assert!(Glob::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_against_a_long_text_take_no_time() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &format!("{}b", "a".repeat(20_000))));
    }
}
