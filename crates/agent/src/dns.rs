//! Names for the workload: a DNS server on loopback that answers for what the control plane has told of, and asks the pod's own servers
//! for everything else. Source: istio: pkg/dns/client/dns.go, proxy.go.
//!
//! [`Known`] is what was told last: it stays when the control plane is lost. `answer` judges one packet and does nothing else;
//! `server` has the sockets, `upstream` asks others.

mod answer;
mod known;
mod metrics;
mod names;
mod resolv;
mod server;
mod upstream;

pub use known::Known;
pub use names::Home;
pub use resolv::Resolv;
pub use server::{Server, addresses};
pub use upstream::{Servers, Way};

#[cfg(test)]
mod tests;
