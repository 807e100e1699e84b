//! What stands beside each proxy: its bootstrap, and the rules that lead a workload's traffic through it.

pub mod bootstrap;
pub mod redirect;
