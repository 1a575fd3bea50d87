//! Commands under a policy: which file is it that would be started?
//!
//! Must never leave that to be found out later: a program is looked for here, on the worker's own `PATH` and not the
//! task's, and started by the absolute path that was judged.

use super::file::{Commands, any};
use domain::ShellRun;
use std::{ffi::OsStr, os::unix::fs::PermissionsExt as _, path::Path};

/// A command that is allowed, as it is to be started.
pub(super) fn judge(rules: &Commands, shell: ShellRun) -> Result<ShellRun, String> {
    if rules.shell {
        return Ok(shell);
    }
    let ShellRun { command, args, working_dir, env, stdin } = shell;
    let (name, args) = match args.is_empty() {
        false => (command, args),
        // A line that a shell would only split at blanks is as good as a program and its arguments.
        true => match exec::start::words(&command).as_deref() {
            Some([name, args @ ..]) => ((*name).to_owned(), args.iter().map(|arg| (*arg).to_owned()).collect()),
            Some([]) | None => return Err("a line for the shell ([commands] shell)".to_owned()),
        },
    };
    let program = absolute(&name, std::env::var_os("PATH").as_deref())?;
    if !any(&rules.programs, &program) {
        return Err(format!("the program {program} ([commands] programs)"));
    }
    if let Some(name) = env.keys().find(|name| !any(&rules.env, name)) {
        return Err(format!("the variable {name} ([commands] env)"));
    }
    if let Some(dir) = working_dir.as_ref().filter(|dir| !is_plain(dir) || !any(&rules.working_dirs, dir)) {
        return Err(format!("the working directory {dir} ([commands] working_dirs)"));
    }
    Ok(ShellRun { command: program, args, working_dir, env, stdin })
}

/// A program's absolute path.
fn absolute(name: &str, path: Option<&OsStr>) -> Result<String, String> {
    if name.contains('/') {
        return match is_plain(name) {
            true => Ok(name.to_owned()),
            false => Err(format!("the program {name}: only an absolute path without . and .. ([commands] programs)")),
        };
    }
    let candidates = path.map(std::env::split_paths).into_iter().flatten().map(|dir| dir.join(name));
    let found = candidates.filter_map(|file| file.into_os_string().into_string().ok()).find(|file| runs(file));
    found.ok_or_else(|| format!("the program {name}: it is not on this worker's PATH ([commands] programs)"))
}

fn runs(file: &str) -> bool {
    is_plain(file)
        && Path::new(file).metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether a path is absolute and leads nowhere else than it says.
fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !["", ".", ".."].contains(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_file_that_its_path_says() {
        let path = Some(OsStr::new("relative:/nowhere:/bin"));
        assert_eq!(absolute("/opt/x", path).as_deref(), Ok("/opt/x"));
        assert_eq!(absolute("sh", path).as_deref(), Ok("/bin/sh"));
        for bad in ["./x", "x/y", "/usr/../tmp/x", "/usr//x", "/usr/./x", "/x/", "surely-not-there", ""] {
            assert!(absolute(bad, path).is_err(), "{bad}");
        }
        assert!(absolute("sh", None).is_err());
    }
}
