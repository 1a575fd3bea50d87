//! Reads the repository: manifests and sources.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::{Path, PathBuf};

/// A Rust source file of one of our crates.
pub struct Source {
    /// Relative to the repository.
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// Whether the whole file is test code.
    pub fn is_test(&self) -> bool {
        self.path.components().any(|c| ["tests", "tests.rs", "benches"].iter().any(|t| c.as_os_str() == *t))
    }

    /// Its tokens: no comments, and without modules under `#[cfg(test)]`.
    pub fn tokens(&self) -> Vec<TokenTree> {
        let stream: TokenStream = self.text.parse().unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        without_tests(stream)
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Names of all crates.
pub fn crates() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The manifest of a crate.
pub fn manifest(name: &str) -> toml::Table {
    let path = root().join("crates").join(name).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap().parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All Rust sources of a crate.
pub fn sources(name: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("crates").join(name), &mut found);
    found
}

fn collect(dir: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push(Source { path: path.strip_prefix(root()).unwrap().to_owned(), text });
        }
    }
}

/// Flattens a stream: groups become their delimiters' contents in place, with braces kept as punctuation by position.
fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let attribute = matches!(&token, TokenTree::Punct(p) if p.as_char() == '#');
        if attribute && tokens.peek().is_some_and(is_cfg_test) {
            tokens.next();
            skip_item(&mut tokens);
            continue;
        }
        match token {
            TokenTree::Group(group) => {
                let mut inner =
                    proc_macro2::Group::new(group.delimiter(), without_tests(group.stream()).into_iter().collect());
                inner.set_span(group.span());
                kept.push(TokenTree::Group(inner));
            }
            other @ (TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) => kept.push(other),
        }
    }
    kept
}

fn is_cfg_test(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket
        && g.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Drops tokens up to the end of the item: its body in braces, or a semicolon.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(p) if p.as_char() == ';' => return,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
}
