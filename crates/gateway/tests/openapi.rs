//! The OpenAPI document that is checked in is the one that the routes make.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

#[test]
fn the_document_that_is_checked_in_is_the_routes_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = gateway::openapi();
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(made == kept, "docs/openapi.json is out of date; UPDATE_BASELINE=1 cargo test -p gateway writes it anew");
}
