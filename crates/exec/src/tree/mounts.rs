//! Where cgroups are mounted, and which of them we are in. Paths are never assumed: hybrid systems mount v2 elsewhere.

use super::cgroup::Version;
use std::path::{Path, PathBuf};

/// Directories under which leaves might be made, best first: our own cgroup, then the top of the mount.
pub(super) fn places(version: Version) -> Vec<PathBuf> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    parse(version, &read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn parse(version: Version, mountinfo: &str, own: &str) -> Vec<PathBuf> {
    let Some(own) = own.lines().find_map(|line| own_path(version, line)) else { return Vec::new() };
    let mut places = Vec::new();
    for (root, point) in mountinfo.lines().filter_map(|line| mount(version, line)) {
        // `root` is the part of the hierarchy that the mount shows.
        if let Ok(below) = Path::new(own).strip_prefix(&root)
            && !below.as_os_str().is_empty()
            && !own.contains("/..")
        {
            places.push(point.join(below));
        }
        places.push(point);
    }
    places
}

/// The path of `0::/path` for v2, of `8:pids:/path` for v1.
fn own_path(version: Version, line: &str) -> Option<&str> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    match version {
        Version::V2 => (number == "0" && controllers.is_empty()).then_some(path),
        Version::V1 => controllers.split(',').any(|c| c == "pids").then_some(path),
    }
}

/// Root and mount point of a line like `41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`.
fn mount(version: Version, line: &str) -> Option<(String, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next()?);
    let fits = match version {
        Version::V2 => kind == "cgroup2",
        Version::V1 => kind == "cgroup" && options.split(',').any(|o| o == "pids"),
    };
    fits.then(|| (unescape(root), unescape(point).into()))
}

/// Blanks and the like are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/my\\040cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn both_versions_are_found_where_they_are_mounted() {
        let own = "8:pids:/\n9:name=systemd:/x\n0::/a/b";
        let found = |version| parse(version, HYBRID, own);
        assert_eq!(found(Version::V2), [Path::new("/sys/fs/my cgroup/a/b"), Path::new("/sys/fs/my cgroup")]);
        assert_eq!(found(Version::V1), [Path::new("/sys/fs/cgroup/pids")]);
    }

    #[test]
    fn a_mount_of_a_part_shows_our_path_below_it() {
        let part = "41 31 0:38 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(
            parse(Version::V2, part, "0::/a/b/c"),
            [Path::new("/sys/fs/cgroup/b/c"), Path::new("/sys/fs/cgroup")]
        );
        assert_eq!(parse(Version::V2, part, "8:pids:/"), [] as [&Path; 0]);
    }
}
