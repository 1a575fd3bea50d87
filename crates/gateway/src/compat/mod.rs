//! Contracts of older systems, in the words of this one: each a folder or a file that can be deleted.
//!
//! Must only translate: no state, no store, no verb that `app` doesn't have.

mod taskmanager;

pub(crate) use taskmanager::TaskManager;
