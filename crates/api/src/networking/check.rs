//! The rules of Istio's validation webhook, one file for each kind.

pub(super) mod destination_rule;
pub(super) mod gateway;
mod headers;
mod http;
pub(super) mod service_entry;
pub(super) mod sidecar;
pub(super) mod virtual_service;

#[cfg(test)]
mod tests;
