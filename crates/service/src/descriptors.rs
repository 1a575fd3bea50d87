//! File descriptors: as many as this process may have, and connections never take the last of them. Most systems start
//! processes with 1,024 though they allow many more.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that connections leave for everything else: the store, its segments, sockets to other services.
const RESERVED: usize = 256;
/// Below this nothing works; what is missing is then said by whatever fails.
const FEWEST: usize = 64;

/// Raises the limit to what is allowed.
pub(crate) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "The limit of open files stays as it is");
    }
}

/// How many connections may be open: so many, or as many as there is room for.
pub(crate) fn for_connections(wanted: usize) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.and_then(|allowed| usize::try_from(allowed).ok());
    within(wanted, allowed)
}

fn within(wanted: usize, allowed: Option<usize>) -> usize {
    allowed.map_or(wanted, |allowed| wanted.min(allowed.saturating_sub(RESERVED).max(FEWEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let table = [(Some(1_024), 768), (Some(20_000), 16_384), (Some(100), 64), (None, 16_384)];
        for (allowed, connections) in table {
            assert_eq!(within(16_384, allowed), connections, "{allowed:?}");
        }
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
