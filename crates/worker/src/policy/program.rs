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
    let program = allowed(rules, absolute(&name, std::env::var_os("PATH").as_deref())?)?;
    if let Some(name) = env.keys().find(|name| !any(&rules.env, name)) {
        return Err(format!("the variable {name} ([commands] env)"));
    }
    if let Some(dir) = working_dir.as_ref().filter(|dir| !is_plain(dir) || !any(&rules.working_dirs, dir)) {
        return Err(format!("the working directory {dir} ([commands] working_dirs)"));
    }
    Ok(ShellRun { command: program, args, working_dir, env, stdin })
}

/// The first of these files that may be started.
fn allowed(rules: &Commands, files: Vec<String>) -> Result<String, String> {
    let first = files.first().cloned().unwrap_or_default();
    let fits = files.into_iter().find(|file| any(&rules.programs, file));
    fits.ok_or_else(|| format!("the program {first} ([commands] programs)"))
}

/// A program's absolute path; of a name without `/`, where it is on the `PATH`, which may be several places.
fn absolute(name: &str, path: Option<&OsStr>) -> Result<Vec<String>, String> {
    if name.contains('/') {
        return match is_plain(name) {
            true => Ok(vec![name.to_owned()]),
            false => Err(format!("the program {name}: only an absolute path without . and .. ([commands] programs)")),
        };
    }
    let candidates = path.map(std::env::split_paths).into_iter().flatten().map(|dir| dir.join(name));
    let found = candidates.filter_map(|file| file.into_os_string().into_string().ok()).filter(|file| runs(file));
    let found: Vec<String> = found.collect();
    match found.is_empty() {
        true => Err(format!("the program {name}: it is not on this worker's PATH ([commands] programs)")),
        false => Ok(found),
    }
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
    fn of_several_places_on_the_path_the_first_that_is_allowed_counts() {
        let rules: Commands = toml::from_str("programs = [\"/usr/bin/x\", \"/opt/*\"]").expect("rules");
        let files = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(allowed(&rules, files(&["/bin/x", "/usr/bin/x", "/opt/x"])).as_deref(), Ok("/usr/bin/x"));
        assert!(allowed(&rules, files(&["/bin/x", "/sbin/x"])).is_err_and(|why| why.contains("the program /bin/x (")));
    }

    #[test]
    fn a_program_is_the_file_that_its_path_says() {
        let path = Some(OsStr::new("relative:/nowhere:/bin"));
        assert_eq!(absolute("/opt/x", path), Ok(vec!["/opt/x".to_owned()]));
        assert_eq!(absolute("sh", path), Ok(vec!["/bin/sh".to_owned()]));
        for bad in ["./x", "x/y", "/usr/../tmp/x", "/usr//x", "/usr/./x", "/x/", "surely-not-there", ""] {
            assert!(absolute(bad, path).is_err(), "{bad}");
        }
        assert!(absolute("sh", None).is_err());
    }
}
