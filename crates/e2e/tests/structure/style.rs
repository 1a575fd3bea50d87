//! The style of the house, as far as a machine can see it.

use crate::repo::{self, Source};
use proc_macro2::TokenTree;

/// Longest file, tests apart.
const MAX_LINES: usize = 500;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "manager"];

/// Macros that mark unfinished work.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// What is wrong with one file.
fn complaints(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folders = source.path.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
    if let Some(name) = folders.chain([stem]).find(|n| EMPTY_NAMES.contains(&n.as_str())) {
        wrong.push(format!("the name `{name}` says nothing"));
    }
    let lines = code_lines(&source.text);
    if !source.is_test() && lines > MAX_LINES {
        wrong.push(format!("{lines} lines; at most {MAX_LINES}"));
    }
    let all: Vec<TokenTree> = match source.text.parse::<proc_macro2::TokenStream>() {
        Ok(stream) => stream.into_iter().collect(),
        Err(e) => return vec![format!("cannot be read: {e}")],
    };
    unfinished(&all, &mut wrong);
    // What several test files share is not used by each of them; programs have no such excuse.
    if source.is_test() {
        wrong.retain(|what| !what.starts_with("#[allow(dead_code,reason="));
    }
    if source.text.replace(' ', "").contains(concat!("Arc<Mutex<", "HashMap")) {
        wrong.push("state has one owner; no shared map behind a lock".into());
    }
    wrong
}

/// Lines up to the test module at the end of a file.
fn code_lines(text: &str) -> usize {
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let module = lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
        if line == "#[cfg(test)]" && module {
            return number;
        }
    }
    text.lines().count()
}

fn unfinished(tokens: &[TokenTree], wrong: &mut Vec<String>) {
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if UNFINISHED.contains(&ident.to_string().as_str()) => {
                if matches!(tokens.get(i + 1), Some(TokenTree::Punct(p)) if p.as_char() == '!') {
                    wrong.push(format!("{ident}!"));
                }
            }
            TokenTree::Punct(p) if p.as_char() == '#' => {
                let attribute = tokens[i + 1..].iter().take(2).find_map(|t| match t {
                    TokenTree::Group(g) => Some(g.stream().to_string().replace(' ', "")),
                    TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
                });
                if let Some(text) = attribute.filter(|t| t.starts_with("ignore") || t.starts_with("allow(dead_code")) {
                    wrong.push(format!("#[{text}]"));
                }
            }
            TokenTree::Group(group) => unfinished(&group.stream().into_iter().collect::<Vec<_>>(), wrong),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[test]
fn files_keep_the_style_of_the_house() {
    let mut wrong = Vec::new();
    for source in repo::crates().iter().flat_map(|name| repo::sources(name)) {
        wrong.extend(complaints(&source).into_iter().map(|what| format!("{}: {what}", source.path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_and_every_file_says_what_it_is_for() {
    let silent: Vec<_> = repo::crates()
        .iter()
        .flat_map(|name| repo::sources(name))
        .filter(|s| !s.text.starts_with("//!") && !s.is_test())
        .map(|s| s.path)
        .collect();
    assert!(silent.is_empty(), "without a module comment: {silent:#?}");
}

#[test]
fn each_breach_of_style_is_found() {
    let check = |path: &str, text: &str| complaints(&Source { path: path.into(), text: text.into() }).len();
    assert_eq!(check("crates/x/src/submit.rs", "fn f() {}\n"), 0);
    assert_eq!(check("crates/x/src/utils.rs", ""), 1);
    assert_eq!(check("crates/x/src/manager/mod.rs", ""), 1);
    assert_eq!(check("crates/x/src/long.rs", &"\n".repeat(501)), 1);
    assert_eq!(check("crates/x/tests/long.rs", &"\n".repeat(501)), 0);
    assert_eq!(check("crates/x/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(600))), 0);
    assert_eq!(check("crates/x/src/a.rs", "fn f() { todo!() }"), 1);
    assert_eq!(check("crates/x/src/a.rs", "mod m { #[test] #[ignore] fn f() { dbg!(1); } }"), 2);
    assert_eq!(check("crates/x/src/a.rs", "#![allow(dead_code, reason = \"why not\")]"), 1);
    assert_eq!(check("crates/x/tests/a.rs", "#![allow(dead_code)]"), 1);
    assert_eq!(check("crates/x/tests/a.rs", "#![allow(dead_code, reason = \"shared\")]"), 0);
    assert_eq!(check("crates/x/src/a.rs", concat!("type A = Arc<Mutex<", "HashMap<u8, u8>>>;")), 1);
}
