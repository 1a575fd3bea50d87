//! The pure crates touch no clock, no randomness, no I/O, and nothing whose order differs from run to run.

use crate::{arrows::PURE, repo};
use proc_macro2::{Delimiter, TokenTree};

/// Identifiers that may not occur at all.
const WORDS: &[&str] = &["Instant", "SystemTime", "HashMap", "HashSet", "RandomState", "rand", "getrandom", "unsafe"];

/// Modules of `std` that may not be named.
const STD: &[&str] = &["fs", "net", "thread", "process", "env", "io", "os"];

/// The one map whose order differs from run to run: it lets nobody walk it, so that nothing can hang on that.
const UNWALKED: &str = "engine/src/by_id.rs";

/// What it would be walked with.
const WALKS: &[&str] = &[
    "iter",
    "iter_mut",
    "into_iter",
    "IntoIterator",
    "keys",
    "into_keys",
    "values",
    "values_mut",
    "into_values",
    "drain",
    "retain",
    "extract_if",
    "Deref",
    "DerefMut",
    "AsRef",
];

/// What may not stand in a file, of these tokens of it.
fn wrong_in(source: &repo::Source) -> Vec<String> {
    let tokens = source.tokens();
    if !source.path.ends_with(UNWALKED) {
        return banned(&tokens, WORDS);
    }
    let mut found = banned(&tokens, &[WORDS, WALKS].concat());
    found.retain(|what| what != "HashMap");
    found
}

/// What of the banned occurs in these tokens.
fn banned(tokens: &[TokenTree], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) => {
                let word = ident.to_string();
                if words.contains(&word.as_str()) {
                    found.push(word.clone());
                }
                if word == "std" {
                    found.extend(std_modules(&tokens[i + 1..]));
                }
            }
            TokenTree::Group(group) => {
                found.extend(banned(&group.stream().into_iter().collect::<Vec<_>>(), words));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// The banned modules among what follows `std`: `::fs…` or `::{fmt, fs::File}`.
fn std_modules(rest: &[TokenTree]) -> Vec<String> {
    let [TokenTree::Punct(a), TokenTree::Punct(b), next, ..] = rest else { return Vec::new() };
    if (a.as_char(), b.as_char()) != (':', ':') {
        return Vec::new();
    }
    let named: Vec<String> = match next {
        TokenTree::Ident(ident) => vec![ident.to_string()],
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == ',');
            inner.split(comma).filter_map(|item| item.first()).map(ToString::to_string).collect()
        }
        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
    };
    named.into_iter().filter(|n| STD.contains(&n.as_str())).map(|n| format!("std::{n}")).collect()
}

#[test]
fn the_pure_crates_touch_no_clock_no_randomness_and_no_io() {
    let mut wrong = Vec::new();
    for source in PURE.iter().flat_map(|name| repo::sources(name)).filter(|s| !s.is_test()) {
        wrong.extend(wrong_in(&source).into_iter().map(|what| format!("{}: {what}", source.path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_banned_thing_is_found_wherever_it_hides() {
    let in_file = |path: &str, text: &str| wrong_in(&repo::Source { path: path.into(), text: text.into() });
    let check = |text: &str| in_file("x.rs", text);
    assert_eq!(check("use std::time::{Duration, Instant};"), ["Instant"]);
    assert_eq!(check("use std::{fmt, fs::File, thread};"), ["std::fs", "std::thread"]);
    assert_eq!(check("fn f() { let m = std::collections::HashMap::<u8, u8>::new(); }"), ["HashMap"]);
    assert_eq!(check("fn f() { std::net::TcpStream::connect(x); rand::random() }"), ["std::net", "rand"]);
    // Comments, strings and tests may say what they like.
    assert_eq!(check("// HashMap\n/// Instant\nconst A: &str = \"HashSet\";"), Vec::<String>::new());
    assert_eq!(check("#[cfg(test)]\nmod tests { use std::fs; }\nuse std::time::SystemTime;"), ["SystemTime"]);
    let map = |rest: &str| in_file("crates/engine/src/by_id.rs", &format!("struct M(HashMap<u8, u8>);\n{rest}"));
    assert_eq!(map("fn get(m: &M) { m.0.get(&1); }"), Vec::<String>::new());
    assert_eq!(map("fn all(m: &M) { m.0.values() }"), ["values"]);
    assert_eq!(map("type S = HashSet<u8>;"), ["HashSet"]);
}
