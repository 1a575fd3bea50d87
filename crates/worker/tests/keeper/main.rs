//! A real keeper, over its socket, with real processes.

mod adoption;
mod ends;
mod output;
mod rig;
mod starts;
mod users;
