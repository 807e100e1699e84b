//! Directories and files of YAML as a source of objects, reloaded on change.
//!
//! [`Directory`] is the state machine: what each file held, and what follows when its text changes. [`load`] runs it once for the command
//! line, [`watch`] for ever for the server; the rules are the same.

mod directory;
mod scan;
mod watch;

pub use directory::{Directory, Look};
pub use scan::{Error, load};
pub use watch::watch;
