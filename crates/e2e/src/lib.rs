//! Tests against the real binaries: the harness that starts, kills and talks to them.
