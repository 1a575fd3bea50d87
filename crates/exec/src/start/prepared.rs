//! Everything the child needs, made before there is a child: between clone and exec it may neither allocate nor lock.

use super::command::{Command, Program, User};
use super::failure::{Failure, Stage};
use super::line;
use std::{
    ffi::{CString, c_char},
    os::unix::ffi::OsStrExt,
    ptr,
};

/// Where programs are looked for if the task has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
const SHELL: &str = "/bin/sh";

/// Strings and the arrays of pointers that execve takes.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) dir: CString,
    /// Files to try, in order.
    pub(super) files: Array,
    pub(super) argv: Array,
    /// `/bin/sh file arguments`: for a script without `#!`. The child sets the file.
    pub(super) script: Array,
    pub(super) env: Array,
    /// `/bin/sh -c line`, for a line that was split without a shell: if its program can't be started, a shell says so as it
    /// always did.
    pub(super) shell: Option<Array>,
    pub(super) user: Option<User>,
    about: String,
}

/// A null-terminated array of C strings with its owner.
#[derive(Debug)]
pub(super) struct Array {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Array {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Self { _owned: owned, pointers }
    }

    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut *const c_char {
        self.pointers.as_mut_ptr()
    }
}

impl Prepared {
    /// Prepares a command.
    pub(super) fn new(command: &Command) -> Result<Self, Failure> {
        let Command { program, env, dir, stdin: _, user } = command;
        let (argv, shell) = match program {
            Program::Line(line) => match line::words(line) {
                Some(words) => (words, Some([SHELL, "-c", line])),
                None => (vec![SHELL, "-c", line], None),
            },
            Program::Direct(program, args) => {
                (std::iter::once(*program).chain(args.iter().map(String::as_str)).collect(), None)
            }
        };
        let name = argv.first().copied().unwrap_or_default();
        let dir_text = dir.to_string_lossy().into_owned();
        let in_program = |text: &[u8]| c_string(text, Stage::Program, name);
        let path = env.get(b"PATH".as_slice()).map_or(DEFAULT_PATH, Vec::as_slice);
        let files: Vec<CString> = candidates(name, path).iter().map(|f| in_program(f)).collect::<Result<_, _>>()?;
        let strings = |words: &[&str]| words.iter().map(|a| in_program(a.as_bytes())).collect::<Result<Vec<_>, _>>();
        let arguments = strings(&argv)?;
        let shell = shell.map(|words| strings(&words).map(Array::new)).transpose()?;
        let script = [in_program(SHELL.as_bytes())?, CString::default()];
        let script = script.into_iter().chain(arguments.iter().skip(1).cloned()).collect();
        let env = env
            .iter()
            .map(|(name, value)| in_program(&[name, b"=".as_slice(), value].concat()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            dir: c_string(dir.as_os_str().as_bytes(), Stage::Directory, &dir_text)?,
            files: Array::new(files),
            argv: Array::new(arguments),
            script: Array::new(script),
            env: Array::new(env),
            // What was tried last.
            about: if shell.is_some() { SHELL } else { name }.to_owned(),
            shell,
            user: user.cloned(),
        })
    }

    /// Puts words to what the child could not do.
    pub(super) fn failure(&self, stage: Stage, errno: i32) -> Failure {
        let about = match stage {
            Stage::Directory => self.dir.to_string_lossy().into_owned(),
            Stage::Program => self.about.clone(),
            Stage::Process | Stage::Tree | Stage::Descriptors | Stage::User => String::new(),
        };
        Failure { stage, errno, about }
    }
}

fn c_string(text: &[u8], stage: Stage, about: &str) -> Result<CString, Failure> {
    // A NUL byte: the system could not take it either.
    CString::new(text).map_err(|_| Failure { stage, errno: libc::EINVAL, about: about.to_owned() })
}

/// As execvp: a name with `/` is a file, others are looked for in `path`, where an empty part is the working directory.
fn candidates(name: &str, path: &[u8]) -> Vec<Vec<u8>> {
    if name.is_empty() || name.contains('/') {
        return vec![name.as_bytes().to_vec()];
    }
    let part = |dir: &[u8]| if dir.is_empty() { b".".to_vec() } else { dir.to_vec() };
    path.split(|b| *b == b':').map(|dir| [&part(dir), b"/".as_slice(), name.as_bytes()].concat()).collect()
}
