//! What stands beside each proxy: its bootstrap, and the rules that lead a workload's traffic through it,
//! its certificate, and the sockets by which it gets that and reaches the control plane.

pub mod aside;
pub mod bootstrap;
pub mod dns;
pub mod ending;
pub mod grpc;
pub mod health;
pub mod identity;
pub mod local;
mod probe;
pub mod redirect;
pub mod renewal;
mod sds;
pub mod status;
pub mod trust;
pub mod upstream;
