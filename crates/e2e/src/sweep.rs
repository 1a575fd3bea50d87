//! Finds and ends what a test has left behind: processes that work in its directory or were started with its path.

use rustix::process::{Pid, Signal, kill_process};
use std::{fs, os::unix::ffi::OsStrExt, path::Path};

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

/// Kills all of them until none is left.
pub fn sweep(dir: &Path) {
    loop {
        let left = alive_under(dir);
        if left.is_empty() {
            return;
        }
        for pid in left.iter().filter_map(|p| i32::try_from(*p).ok()).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::yield_now();
    }
}
