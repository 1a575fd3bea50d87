//! The shape of the repository, checked: which crate may know which, what the pure crates may not touch, and the
//! style of the house. Each rule is a function over values, and each has a test that shows it failing.

mod arrows;
mod purity;
mod repo;
mod style;
