//! Generated prost messages of Envoy, xDS, Google and our own `/proto`, the descriptor set for JSON, and [`Encoded`],
//! the immutable form in which `translate` hands resources to `xds`. Knows no mesh and no sockets.

mod encoded;
mod json;
mod redacted;

pub use encoded::{Encoded, Version};
pub use json::{JsonError, from_json, pool, to_json};
pub use messages::*;
pub use redacted::redacted;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::allow_attributes_without_reason, reason = "generated code")]
mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

/// Wraps a message as `google.protobuf.Any` under its own type URL.
#[must_use]
pub fn any<M: prost::Message + prost::Name>(message: &M) -> prost_types::Any {
    prost_types::Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
