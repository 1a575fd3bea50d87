//! The shape of the repository, checked: which crate may know which, what the pure crates may not touch, and the
//! style of the house. Each rule is a function over values, and each has a test that shows it failing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arrows;
mod purity;
mod repo;
mod style;
