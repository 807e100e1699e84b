//! What stands beside each proxy: the rules that lead a workload's traffic through it.

pub mod redirect;
