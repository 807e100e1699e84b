//! Messages as proto3 JSON with `Any` expanded, over the descriptor set. The pool is built at first use (16 ms, 13 MB), so
//! a server that nobody asks for a dump never pays for it.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use crate::redacted::redacted;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice())
        .expect("protoc wrote the descriptor set")
});

/// Why a JSON text is no message of the wanted type.
#[derive(Debug)]
pub struct JsonError(String);

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JsonError {}

/// All message descriptors.
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The content of an `Any` as JSON, nested `Any`s expanded; keys of Secrets are redacted. A type that is not in the pool becomes its URL and size, never an
/// error: a dump must not fail because of one foreign extension.
#[must_use]
pub fn to_json(any: &prost_types::Any) -> Value {
    let any = &redacted(any.clone());
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    let decoded = POOL
        .get_message_by_name(name)
        .and_then(|descriptor| DynamicMessage::decode(descriptor, any.value.as_slice()).ok());
    let options = SerializeOptions::new().skip_default_fields(true);
    let value =
        decoded.and_then(|message| message.serialize_with_options(serde_json::value::Serializer, &options).ok());
    value.unwrap_or_else(|| json!({ "@type": any.type_url, "bytes": any.value.len() }))
}

/// Reads a message from proto3 JSON; unknown fields are ignored.
///
/// # Errors
/// When the JSON does not fit the message.
pub fn from_json<M: prost::Message + prost::Name + Default>(value: &Value) -> Result<M, JsonError> {
    let name = M::full_name();
    let descriptor = POOL.get_message_by_name(&name).ok_or_else(|| JsonError(format!("no message {name}")))?;
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, value, &options)
        .map_err(|error| JsonError(format!("reading {name}: {error}")))?;
    message.transcode_to().map_err(|error| JsonError(format!("reading {name}: {error}")))
}
