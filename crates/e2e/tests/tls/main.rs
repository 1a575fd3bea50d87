//! Services that speak TLS, with certificates from `baton ca`: as users set them up, and as others try to get in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod flags;
mod fleet;
mod python;
mod refused;
mod rotation;
