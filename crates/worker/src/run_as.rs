//! As whom commands run: looked up once, at the start, so that no start waits for a directory service.

use crate::keeper::TaskUser;
use exec::start::User;
use service::Fatal;
use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

/// Bytes for what the system says of a user or a group: names of all of its members, sometimes.
const BUFFER: usize = 1 << 20;
/// Groups of one user at most: what Linux takes.
const GROUPS: usize = 65_536;

/// A user that commands run as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RunAs {
    user: User,
    name: String,
    home: String,
    shell: String,
}

/// What the system knows of a user.
struct Entry {
    uid: u32,
    gid: u32,
    name: CString,
    home: CString,
    shell: CString,
}

impl RunAs {
    /// The user that both, or either of, policy and command line ask for.
    ///
    /// # Errors
    /// They ask for different ones, there is no such user or group, or this process isn't root's.
    pub fn find(policy: Option<&str>, flag: Option<&str>) -> Result<Option<Self>, Fatal> {
        let wanted = match (policy, flag) {
            (Some(policy), Some(flag)) if policy != flag => {
                let text = format!("run_as is {policy} in the policy, and --run-as says {flag}");
                return Err(Fatal::new(text).hint("say it in one place"));
            }
            (policy, flag) => policy.or(flag),
        };
        let Some(wanted) = wanted else { return Ok(None) };
        let wrong = |why: String| Fatal::new(format!("cannot run commands as {wanted}: {why}"));
        if !rustix::process::geteuid().is_root() {
            return Err(wrong("this worker is not root".to_owned()).hint("start it as root, or without --run-as"));
        }
        Self::look_up(wanted).map(Some).map_err(wrong)
    }

    fn look_up(wanted: &str) -> Result<Self, String> {
        let (user, group) = wanted.split_once(':').map_or((wanted, None), |(user, group)| (user, Some(group)));
        let Entry { uid, gid, name, home, shell } =
            user_named(user).map_err(|e| e.to_string())?.ok_or_else(|| format!("there is no user {user}"))?;
        let gid = match group {
            None => gid,
            Some(group) => {
                group_named(group).map_err(|e| e.to_string())?.ok_or_else(|| format!("there is no group {group}"))?
            }
        };
        let groups = groups_of(&name, gid);
        let text = |what: CString| what.into_string().map_err(|_| format!("the entry of {user} is not UTF-8"));
        Ok(Self { user: User { uid, gid, groups }, name: text(name)?, home: text(home)?, shell: text(shell)? })
    }

    /// As the keeper takes it.
    pub fn task_user(&self) -> TaskUser {
        let User { uid, gid, groups } = self.user.clone();
        TaskUser { uid, gid, groups }
    }

    /// Adds what a user finds in its environment, unless the task says otherwise.
    pub fn surround(&self, env: &mut BTreeMap<String, String>) {
        let Self { user: _, name, home, shell } = self;
        for (variable, value) in [("HOME", home), ("USER", name), ("LOGNAME", name), ("SHELL", shell)] {
            env.entry(variable.to_owned()).or_insert_with(|| value.clone());
        }
    }

    /// Whether this user gets to its tasks' directories, by trying.
    ///
    /// # Errors
    /// It doesn't.
    pub fn reaches(&self, dir: &Path) -> Result<(), Fatal> {
        let User { uid, gid, groups: _ } = self.user;
        let mut command = Command::new("/bin/true");
        match command.env_clear().current_dir(dir).uid(uid).gid(gid).status() {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = format!(
                    "user {} does not get to the directories of its tasks, {}: {error}",
                    self.name,
                    dir.display()
                );
                Err(Fatal::new(text).hint("give this worker a --data-dir whose parents others may enter (mode 0711)"))
            }
        }
    }
}

/// A user by name or number.
fn user_named(name: &str) -> io::Result<Option<Entry>> {
    let (mut entry, mut buffer) = (MaybeUninit::<libc::passwd>::uninit(), vec![0; BUFFER]);
    let mut found = std::ptr::null_mut();
    let Ok(text) = CString::new(name) else { return Ok(None) };
    // SAFETY: all of it lives during the calls, and the buffer has the length that is said.
    let mut failed = unsafe {
        libc::getpwnam_r(text.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if found.is_null()
        && let Ok(uid) = name.parse()
    {
        // SAFETY: as above.
        failed =
            unsafe { libc::getpwuid_r(uid, entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
    }
    if found.is_null() {
        return unknown(failed);
    }
    // SAFETY: it was found, so its fields are filled, and their texts lie in the buffer.
    Ok(Some(unsafe {
        let libc::passwd { pw_name, pw_uid, pw_gid, pw_dir, pw_shell, .. } = entry.assume_init();
        let text = |text: *const libc::c_char| CStr::from_ptr(text).to_owned();
        Entry { uid: pw_uid, gid: pw_gid, name: text(pw_name), home: text(pw_dir), shell: text(pw_shell) }
    }))
}

/// A group's number by its name or number.
fn group_named(name: &str) -> io::Result<Option<u32>> {
    let (mut entry, mut buffer) = (MaybeUninit::<libc::group>::uninit(), vec![0; BUFFER]);
    let mut found = std::ptr::null_mut();
    let Ok(text) = CString::new(name) else { return Ok(None) };
    // SAFETY: all of it lives during the call, and the buffer has the length that is said.
    let failed = unsafe {
        libc::getgrnam_r(text.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if !found.is_null() {
        // SAFETY: it was found, so its fields are filled.
        return Ok(Some(unsafe { entry.assume_init().gr_gid }));
    }
    match name.parse() {
        // A number needs no name.
        Ok(gid) => Ok(Some(gid)),
        Err(_) => unknown(failed),
    }
}

/// Nothing was found: because there is none, or because nobody could be asked.
fn unknown<T>(failed: i32) -> io::Result<Option<T>> {
    match failed {
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => Ok(None),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// All groups of a user, this one among them.
fn groups_of(user: &CStr, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; GROUPS];
    let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: as many as are said fit.
    let found = unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    let count = if found == -1 { 0 } else { usize::try_from(count).unwrap_or(0) };
    groups.truncate(count);
    if groups.is_empty() { vec![gid] } else { groups }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number_with_all_their_groups() {
        let root = RunAs::look_up("root").expect("root");
        assert_eq!((root.user.uid, root.user.gid, root.name.as_str()), (0, 0, "root"));
        assert!(root.user.groups.contains(&0), "{root:?}");
        assert_eq!(RunAs::look_up("0"), Ok(root.clone()));
        let other = RunAs::look_up("root:12345").expect("a number is a group");
        assert_eq!((other.user.uid, other.user.gid), (0, 12_345));
        assert!(other.user.groups.contains(&12_345), "{other:?}");
        let mut env = BTreeMap::from([("HOME".to_owned(), "/mine".to_owned())]);
        root.surround(&mut env);
        assert_eq!((env["HOME"].as_str(), env["USER"].as_str(), env["LOGNAME"].as_str()), ("/mine", "root", "root"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (wanted, said) in [
            ("nobody-of-this-name", "there is no user nobody-of-this-name"),
            ("root:no-such-group", "there is no group no-such-group"),
            ("", "there is no user "),
        ] {
            assert_eq!(RunAs::look_up(wanted), Err(said.to_owned()));
        }
        assert_eq!(RunAs::find(None, None), Ok(None));
        let text = RunAs::find(Some("a"), Some("b")).expect_err("two").to_string();
        assert!(text.contains("run_as is a in the policy, and --run-as says b"), "{text}");
    }
}
