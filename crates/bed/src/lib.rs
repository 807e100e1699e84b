//! A mesh without a cluster: pods are network namespaces with real capture rules (or just processes on loopback), around real Envoys and a
//! small application. For the demo and the end-to-end tests; knows nothing of the control plane but its address.

pub mod agent;
pub mod app;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod envoy;
pub mod http;
pub mod load;
pub mod net;
pub mod process;
