//! The commands, one file each. They alone look at the machine.

pub(crate) mod redirect;
