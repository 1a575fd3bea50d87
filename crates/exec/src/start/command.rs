//! What to start.

use std::{collections::BTreeMap, path::Path};

/// A command with all that surrounds it. Nothing else reaches the process.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// What to run.
    pub program: Program<'a>,
    /// Its whole environment. `PATH` in it is where a program without `/` is looked for.
    pub env: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its working directory, which must exist.
    pub dir: &'a Path,
    /// What it reads on descriptor 0; empty: /dev/null.
    pub stdin: &'a [u8],
    /// As whom it runs; `None`: as we do. Needs root.
    pub user: Option<&'a User>,
}

/// Somebody else, as a process is: what it starts can't get any more rights than these either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// A line for `/bin/sh -c`. One without any shell syntax is started directly, with the same outcome.
    Line(&'a str),
    /// A program and its arguments; no shell.
    Direct(&'a str, &'a [String]),
}
