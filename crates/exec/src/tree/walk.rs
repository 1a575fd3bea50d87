//! Without cgroups: a walk over /proc, by the cookie in the environment, by session and by descent. Best effort: a
//! process that scrubs its environment, leaves the session and loses its parent between two looks is missed.

use super::signal;
use std::{collections::BTreeMap, fs, io, io::Read as _};

/// Bytes of an environment that are looked at: all of any but a monstrous one.
const ENVIRON_BYTES: usize = 512 * 1024;

/// Environment entries (`NAME=value`) that mark the processes of one tree; all of them must be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cookie(pub Vec<Vec<u8>>);

impl Cookie {
    fn marks(&self, pid: i32, room: &mut [u8]) -> Marked {
        // At once: of a process that changes its program between two reads, the second one finds nothing.
        let read = fs::File::open(format!("/proc/{pid}/environ")).and_then(|mut file| file.read(room));
        // Another user's, or gone: not ours.
        let Ok(environ) = read.map(|length| room.get(..length).unwrap_or_default()) else { return Marked::No };
        if environ.is_empty() && reads_its_program(pid) {
            return Marked::Unsaid;
        }
        let has = |entry: &Vec<u8>| environ.split(|b| *b == 0).any(|e| e == entry.as_slice());
        if !self.0.is_empty() && self.0.iter().all(has) { Marked::Yes } else { Marked::No }
    }
}

/// Whether a process carries a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Marked {
    Yes,
    No,
    /// It is in the middle of an `exec`, without an environment for a moment.
    Unsaid,
}

/// A tree known by what its processes carry.
#[derive(Debug)]
pub(super) struct Walk {
    cookie: Cookie,
    /// The leader, whose number is not reused before its owner reaps it, and when it started.
    leader: Option<(i32, u64)>,
    /// Every process seen in it that still lived at the last look, with its start time: later they may have lost
    /// all that connected them.
    known: BTreeMap<i32, u64>,
    /// Whether the last look met processes of which it couldn't tell: what it found may not be all.
    unsure: bool,
}

/// What /proc says of a process.
struct Process {
    pid: i32,
    dead: bool,
    parent: i32,
    group: i32,
    session: i32,
    /// Clock ticks since boot.
    started: u64,
}

impl Walk {
    pub(super) fn new(cookie: Cookie) -> Self {
        Self { cookie, leader: None, known: BTreeMap::new(), unsure: false }
    }

    pub(super) fn started(&mut self, pid: i32) {
        self.leader = read(pid).map(|p| (pid, p.started));
    }

    pub(super) fn signal(&mut self, number: i32) -> io::Result<()> {
        self.look()?;
        self.known.keys().for_each(|pid| signal(*pid, number));
        Ok(())
    }

    pub(super) fn is_empty(&mut self) -> io::Result<bool> {
        self.look()?;
        Ok(self.known.is_empty() && !self.unsure)
    }

    /// Finds its living members.
    fn look(&mut self) -> io::Result<()> {
        let all: Vec<Process> = processes()?;
        let before = std::mem::take(&mut self.known);
        let mut unsaid: Vec<i32> = Vec::new();
        let mut room = vec![0; ENVIRON_BYTES];
        let (leader, since) = self.leader.unwrap_or_default();
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let mut members: BTreeMap<i32, u64> = all
            .iter()
            .filter(|p| p.pid != own && p.started >= since)
            .filter(|p| {
                let led = leader != 0 && [p.pid, p.group, p.session].contains(&leader);
                if led || before.get(&p.pid) == Some(&p.started) {
                    return true;
                }
                let marked = self.cookie.marks(p.pid, &mut room);
                if marked == Marked::Unsaid {
                    unsaid.push(p.pid);
                }
                marked == Marked::Yes
            })
            .map(|p| (p.pid, p.started))
            .collect();
        // Children may be listed before their parents.
        loop {
            let found = members.len();
            let born = all.iter().filter(|p| p.pid != own && members.contains_key(&p.parent));
            let born: Vec<(i32, u64)> = born.map(|p| (p.pid, p.started)).collect();
            members.extend(born);
            if members.len() == found {
                break;
            }
        }
        for dead in all.iter().filter(|p| p.dead) {
            members.remove(&dead.pid);
        }
        self.unsure = unsaid.iter().any(|pid| !members.contains_key(pid));
        self.known = members;
        Ok(())
    }
}

fn processes() -> io::Result<Vec<Process>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(read).collect())
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether a process whose environment was just found empty may have one all the same: while `exec` builds the new program
/// there is none yet, then one that begins where it ends until its variables are counted, and a moment later there is one
/// again. Only what begins where it ends once the program's code has its place is empty for good.
fn reads_its_program(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    // Fields 23, 26, 50 and 51 of the whole line: the size of its memory, where its code begins (told last), where its
    // environment begins, and where that ends.
    let field = |n: usize| rest.split(' ').nth(n - 3).and_then(|text| text.trim().parse::<u64>().ok());
    let empty = field(26) != Some(0) && field(51) != Some(0) && field(50) == field(51);
    field(23).is_some_and(|size| size > 0) && !empty
}

/// `pid (name) state ppid pgrp session …`, where the name may hold anything.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |n: usize| fields.get(n)?.parse().ok();
    Some(Process {
        pid,
        dead: matches!(fields.first(), Some(&"Z" | &"X")),
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        // Field 22 of the whole line.
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"77 (a) Z 1 2 3) R 5 6 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let process = parse(77, line).expect("a process");
        assert_eq!((process.dead, process.parent, process.group, process.session), (false, 5, 6, 7));
        assert_eq!(process.started, 4711);
    }
}
