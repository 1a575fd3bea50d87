//! What benches measure from outside: times, memory, counters. Figures are printed, never asserted.

use crate::Process;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

/// The value below which so many percent of the sorted times lie.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Milliseconds, to a hundredth.
pub fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

/// A figure of /proc/PID/status in MiB: `VmRSS`, `VmHWM`.
pub fn memory_mib(process: &Process, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0);
    (kib / 102.4).round() / 10.0
}

/// Bytes of all files in a directory, in MiB.
pub fn directory_mib(dir: &Path) -> f64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok());
    let bytes: u64 = files.filter(fs::Metadata::is_file).map(|meta| meta.len()).sum();
    (bytes as f64 / 1024.0 / 102.4).round() / 10.0
}

/// The value of a counter or gauge of a service, of all lines that begin like this together; 0 if there is none.
pub fn metric(service: SocketAddr, line: &str) -> f64 {
    metrics(service, line).into_iter().map(|(_, value)| value).sum()
}

/// All lines of one scrape that begin like this, with their values.
pub fn metrics(service: SocketAddr, beginning: &str) -> Vec<(String, f64)> {
    let mut text = String::new();
    let read = TcpStream::connect(service).and_then(|mut socket| {
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        socket.read_to_string(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let lines = text.lines().filter(|line| line.starts_with(beginning));
    let parted = lines.filter_map(|line| line.rsplit_once(' '));
    parted.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}
