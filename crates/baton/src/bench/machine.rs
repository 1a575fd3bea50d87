//! The conditions of a measurement: machine, durability, versions.

use super::Services;
use std::{fs, path::Path};

/// What a figure has to be read with.
pub struct Setting {
    durability: String,
    disk: String,
    services: String,
}

impl Setting {
    /// Of services that were started.
    pub fn started(services: &Services) -> Self {
        Self {
            durability: "what is accepted or ended is synced to disk before it is told (SQLite, WAL, synchronous=FULL)"
                .into(),
            disk: format!("{}, fsync {}", file_system(services.dir()), scheduler::doctor::syncs(services.dir()).text),
            services: format!("{} {}, started for this", env!("CARGO_PKG_NAME"), service::VERSION),
        }
    }

    /// Of services that run already.
    pub fn running(url: &str, version: &str) -> Self {
        Self {
            durability: "as these services are set up".into(),
            disk: "not looked at".into(),
            services: format!("{version} at {url}; this program is {}", service::VERSION),
        }
    }

    /// Names and texts.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let system = rustix::system::uname();
        vec![
            ("machine", machine()),
            ("system", format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())),
            ("durability", self.durability.clone()),
            ("disk", self.disk.clone()),
            ("services", self.services.clone()),
        ]
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let memory = memory.map_or_else(String::new, |kib| format!(", {} GiB", (kib + (1 << 19)) >> 20));
    format!("{model}, {cores} cores{memory}")
}

/// What stands behind `name` in a file of lines like `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// The kind of file system that a directory is on.
fn file_system(dir: &Path) -> String {
    let text = fs::read_to_string("/proc/mounts").unwrap_or_default();
    kind_of(&text, dir).unwrap_or("unknown file system").to_owned()
}

/// The mount with the longest path that leads to `dir`; of two at one place the later hides the earlier.
fn kind_of<'m>(mounts: &'m str, dir: &Path) -> Option<&'m str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        dir.starts_with(place).then_some((Path::new(place).components().count(), kind))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tmpfile xfs rw 0 0\n";
        assert_eq!(kind_of(mounts, Path::new("/tmp/x")), Some("tmpfs"));
        assert_eq!(kind_of(mounts, Path::new("/home/x")), Some("ext4"));
        assert_eq!(kind_of("", Path::new("/home/x")), None);
    }
}
