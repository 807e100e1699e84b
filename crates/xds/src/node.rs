//! What a proxy says of itself, reduced to facts at once: Envoy's message lists 516 extensions in 61 KB.

use prost::Message;
use proto::envoy::config::core::v3 as core;

/// Facts from the node message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// `type~ip~name.namespace~domain`.
    pub id: String,
    /// The service cluster.
    pub cluster: String,
    /// Region, zone, subzone.
    pub locality: (String, String, String),
    /// The metadata as sent.
    pub metadata: prost_types::Struct,
    /// It lists Istio's own filters.
    pub istio_filters: bool,
    /// It lists extensions at all.
    pub lists_extensions: bool,
    /// Name and version of the client.
    pub user_agent: String,
}

impl Node {
    /// Reads the message.
    ///
    /// # Errors
    /// When the bytes are no node.
    pub fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        let node = core::Node::decode(bytes)?;
        let locality = node.locality.unwrap_or_default();
        let version = match node.user_agent_version_type {
            Some(core::node::UserAgentVersionType::UserAgentVersion(text)) => text,
            Some(core::node::UserAgentVersionType::UserAgentBuildVersion(build)) => {
                build.version.map(|v| format!("{}.{}.{}", v.major_number, v.minor_number, v.patch)).unwrap_or_default()
            }
            None => String::new(),
        };
        Ok(Self {
            id: node.id,
            cluster: node.cluster,
            locality: (locality.region, locality.zone, locality.sub_zone),
            metadata: node.metadata.unwrap_or_default(),
            istio_filters: node.extensions.iter().any(|extension| extension.name == "istio.alpn"),
            lists_extensions: !node.extensions.is_empty(),
            user_agent: format!("{} {version}", node.user_agent_name),
        })
    }

    /// The metadata values that are strings.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.fields.iter().filter_map(|(key, value)| match value.kind.as_ref()? {
            prost_types::value::Kind::StringValue(text) => Some((key.as_str(), text.as_str())),
            _ => None,
        })
    }

    /// A metadata value that is a map of strings.
    pub fn map(&self, key: &str) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.metadata.fields.get(key).and_then(|value| match value.kind.as_ref()? {
            prost_types::value::Kind::StructValue(map) => Some(&map.fields),
            _ => None,
        });
        fields.into_iter().flatten().filter_map(|(key, value)| match value.kind.as_ref()? {
            prost_types::value::Kind::StringValue(text) => Some((key.as_str(), text.as_str())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
