//! The commands, one file each.

pub(crate) mod ca;
pub(crate) mod demo;
pub(crate) mod inject;
pub(crate) mod install;
pub(crate) mod validate;
pub(crate) mod xds;
