//! What a client says of itself: a sidecar beside Istio's agent, in a short form and in the full one of 61 KB.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::value::Kind as Is;
use prost_types::{Struct, Value};

use crate::settings::{Metadata, Mode};

/// How many extensions Envoy 1.40 lists, and how many bytes its whole node has then.
const EXTENSIONS: usize = 516;
const FULL: usize = 61_135;

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
    #[prost(string, tag = "6")]
    user_agent_name: String,
    #[prost(message, optional, tag = "8")]
    build: Option<Build>,
    #[prost(string, repeated, tag = "10")]
    features: Vec<String>,
}

/// `BuildVersion`.
#[derive(Clone, PartialEq, Message)]
struct Build {
    #[prost(message, optional, tag = "1")]
    version: Option<Version>,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(uint32, tag = "1")]
    major: u32,
    #[prost(uint32, tag = "2")]
    minor: u32,
    #[prost(uint32, tag = "3")]
    patch: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Extensions {
    #[prost(message, repeated, tag = "9")]
    all: Vec<Extension>,
}

#[derive(Clone, PartialEq, Message)]
struct Extension {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    category: String,
    #[prost(string, repeated, tag = "6")]
    types: Vec<String>,
}

/// What all clients say alike.
pub(crate) struct Common {
    mode: Mode,
    metadata: Metadata,
    extensions: Bytes,
}

impl Common {
    /// For clients of a kind.
    #[must_use]
    pub(crate) fn new(mode: Mode, metadata: Metadata) -> Self {
        let extensions = match metadata {
            Metadata::Short => Bytes::new(),
            Metadata::Full => extensions(FULL - node(0, "ns-0", metadata).encoded_len()),
        };
        Self { mode, metadata, extensions }
    }

    /// The parts of a request that say who client `number` is.
    #[must_use]
    pub(crate) fn parts(&self, number: usize, namespace: &str) -> Vec<Bytes> {
        let node = node(number, namespace, self.metadata);
        let length = node.encoded_len() + self.extensions.len();
        let mut own = BytesMut::with_capacity(16 + node.encoded_len());
        let field = if self.mode == Mode::Delta { 1 } else { 2 };
        encode_key(field, WireType::LengthDelimited, &mut own);
        encode_varint(length as u64, &mut own);
        own.put_slice(&node.encode_to_vec());
        vec![own.freeze(), self.extensions.clone()]
    }
}

/// The address of client `number`.
#[must_use]
pub(crate) fn address(number: usize) -> String {
    format!("10.200.{}.{}", number / 250, number % 250 + 1)
}

/// The node id of client `number`.
#[must_use]
pub(crate) fn id(number: usize, namespace: &str) -> String {
    format!("sidecar~{}~app-{number}.{namespace}~{namespace}.svc.cluster.local", address(number))
}

fn node(number: usize, namespace: &str, metadata: Metadata) -> Node {
    Node {
        id: id(number, namespace),
        cluster: format!("app-{number}.{namespace}"),
        metadata: Some(fields(number, namespace, metadata)),
        user_agent_name: "envoy".to_owned(),
        build: Some(Build { version: Some(Version { major: 1, minor: 40, patch: 0 }) }),
        features: vec![
            "envoy.lb.does_not_support_overprovisioning".to_owned(),
            "envoy.lrs.supports_send_all_clusters".to_owned(),
        ],
    }
}

/// Keys as Istio's agent writes them (`istio: pkg/model/proxy.go`).
fn fields(number: usize, namespace: &str, metadata: Metadata) -> Struct {
    let app = format!("app-{number}");
    let labels = [("app", app.as_str()), ("version", "v1")];
    let mut all = vec![
        ("NAMESPACE", text(namespace)),
        ("INSTANCE_IPS", text(&address(number))),
        ("LABELS", map(&labels)),
        ("CLUSTER_ID", text("Kubernetes")),
        ("MESH_ID", text("cluster.local")),
        ("INTERCEPTION_MODE", text("REDIRECT")),
        ("ISTIO_VERSION", text("1.32.0")),
        ("NAME", text(&app)),
        (
            "PROXY_CONFIG",
            map(&[("discoveryAddress", "istiod.istio-system.svc:15012"), ("serviceCluster", "istio-proxy")]),
        ),
    ];
    if metadata == Metadata::Full {
        let owner = format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{app}");
        all.extend([
            ("OWNER", text(&owner)),
            ("WORKLOAD_NAME", text(&app)),
            ("APP_CONTAINERS", text("app")),
            ("NODE_NAME", text(&format!("node-{}", number % 100))),
            ("ENVOY_STATUS_PORT", text("15021")),
            ("ENVOY_PROMETHEUS_PORT", text("15090")),
            ("PILOT_SAN", text("istiod.istio-system.svc")),
            ("POD_PORTS", text(r#"[{"name":"http","containerPort":8080,"protocol":"TCP"}]"#)),
            (
                "ANNOTATIONS",
                map(&[
                    ("prometheus.io/scrape", "true"),
                    ("prometheus.io/port", "15020"),
                    ("prometheus.io/path", "/stats/prometheus"),
                ]),
            ),
        ]);
    }
    Struct { fields: all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Is::StringValue(text.to_owned())) }
}

fn map(pairs: &[(&str, &str)]) -> Value {
    let fields = pairs.iter().map(|(key, value)| ((*key).to_owned(), self::text(value))).collect();
    Value { kind: Some(Is::StructValue(Struct { fields })) }
}

/// A list of extensions of this many bytes: as long as Envoy's, of names that no server acts on.
fn extensions(bytes: usize) -> Bytes {
    let mut list = Extensions { all: (0..EXTENSIONS).map(extension).collect() };
    // What is missing goes to the names: first the same to each, then a byte to some.
    let (mut missing, each) = (bytes.saturating_sub(list.encoded_len()), EXTENSIONS);
    let pad = missing / each;
    for (at, extension) in list.all.iter_mut().enumerate() {
        extension.name += &"x".repeat(pad + usize::from(at < missing % each));
    }
    missing = bytes.saturating_sub(list.encoded_len());
    if let Some(last) = list.all.last_mut() {
        last.name += &"x".repeat(missing);
    }
    list.encode_to_vec().into()
}

fn extension(number: usize) -> Extension {
    Extension {
        name: format!("load.extensions.number_{number}."),
        category: "load.extensions".to_owned(),
        types: vec![format!("load.extensions.v3.Number{number}")],
    }
}

#[cfg(test)]
mod tests;
