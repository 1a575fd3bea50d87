//! Ending what a dead keeper left running.

use super::cgroup::{Leaf, Parent};
use super::walk::{Cookie, Walk};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// How long killed processes may take to be gone; those in an uninterruptible wait take longer, and are then reported.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Trees that had living processes.
    pub trees: usize,
    /// Whether all of them are gone now.
    pub gone: bool,
}

/// Kills everything in the trees of this name, and every process that one of the cookies marks. Waits until they are
/// gone, 5 seconds at most. Must not be called while somebody else uses trees of this name.
///
/// # Errors
/// cgroups or /proc can't be read.
pub fn sweep(name: &str, cookies: Vec<Cookie>) -> io::Result<Swept> {
    let parents = Parent::existing(name);
    let mut leaves = Vec::new();
    for parent in &parents {
        leaves.extend(parent.leaves()?);
    }
    let mut walks: Vec<Walk> = cookies.into_iter().map(Walk::new).collect();
    let until = Instant::now() + PATIENCE;
    let mut trees = None;
    loop {
        let mut left = 0;
        for leaf in &mut leaves {
            if !leaf.is_empty()? {
                left += 1;
                leaf.kill()?;
            }
        }
        for walk in &mut walks {
            if !walk.is_empty()? {
                left += 1;
                walk.signal(libc::SIGKILL)?;
            }
        }
        let trees = *trees.get_or_insert(left);
        if left == 0 || Instant::now() > until {
            leaves.into_iter().for_each(Leaf::remove);
            parents.iter().for_each(Parent::remove);
            return Ok(Swept { trees, gone: left == 0 });
        }
        thread::sleep(PAUSE);
    }
}
