//! Finds and ends what a test has left behind: processes that work in its directory or were started with its path.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Processes whose working directory lies under `dir`, whose command line names it, or whose environment does.
/// Zombies don't count: they no longer run.
pub fn alive_under(dir: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str().and_then(|n| n.parse::<u32>().ok()));
    pids.filter(|pid| *pid != own && belongs(*pid, dir)).collect()
}

fn belongs(pid: u32, dir: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    let needle = dir.as_os_str().as_bytes();
    let names = |file: &str| fs::read(proc.join(file)).is_ok_and(|b| b.windows(needle.len()).any(|w| w == needle));
    let works = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    works || names("cmdline") || names("environ")
}

/// Kills all of them until none is left, and removes the cgroups of killed keepers.
pub fn sweep(dir: &Path) {
    loop {
        let left = alive_under(dir);
        if left.is_empty() {
            return keepers(dir).iter().for_each(|data_dir| drop(worker::keeper::sweep(data_dir)));
        }
        for pid in left.iter().filter_map(|p| i32::try_from(*p).ok()).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::yield_now();
    }
}

/// The data directories under `dir` that had a keeper.
fn keepers(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        if dir.join("keeper.lock").exists() {
            found.push(dir.clone());
        }
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        open.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    found
}
