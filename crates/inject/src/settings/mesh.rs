//! Of the mesh's settings, what shapes a pod.

use api::mesh::{proxy_defaults, strictly};
use serde_json::{Map, Value};

use crate::error::Error;

/// Settings of the mesh, over Istio's defaults (`istio: pkg/config/mesh/mesh.go`).
#[derive(Clone, Debug)]
pub struct Mesh {
    /// All of it, as proto3 JSON with defaults.
    whole: Map<String, Value>,
    /// `defaultConfig` over its defaults.
    pub(crate) proxy: Map<String, Value>,
}

impl Default for Mesh {
    fn default() -> Self {
        Self::over(&Map::new())
    }
}

impl Mesh {
    /// Reads the text of ConfigMap `istio`, key `mesh`.
    ///
    /// # Errors
    /// The first setting that cannot be read.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let wrong = |said: String| {
            let (path, message) = said.split_once(": ").filter(|(path, _)| !path.contains(' ')).unwrap_or(("", &said));
            Error::settings("mesh settings", path, message)
        };
        match strictly("MeshConfig", text).map_err(wrong)? {
            Value::Object(mesh) => Ok(Self::over(&mesh)),
            _ => Err(wrong("a mapping is needed".to_owned())),
        }
    }

    fn over(mesh: &Map<String, Value>) -> Self {
        let mut proxy = proxy_defaults();
        if let Some(Value::Object(config)) = mesh.get("defaultConfig") {
            lay(&mut proxy, config);
        }
        let defaults = [
            ("proxyListenPort", Value::from(15001)),
            ("proxyInboundListenPort", Value::from(15006)),
            ("trustDomain", Value::from("cluster.local")),
            ("rootNamespace", Value::from("istio-system")),
            ("enablePrometheusMerge", Value::from(true)),
        ];
        let mut whole: Map<String, Value> = defaults.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        whole.extend(mesh.clone());
        whole.insert("defaultConfig".to_owned(), Value::Object(proxy.clone()));
        Self { whole, proxy }
    }

    /// Where the control plane of this mesh is asked, for a mesh whose settings do not say so.
    #[must_use]
    pub fn with_discovery(mut self, address: &str) -> Self {
        self.proxy.insert("discoveryAddress".to_owned(), Value::from(address));
        self.whole.insert("defaultConfig".to_owned(), Value::Object(self.proxy.clone()));
        self
    }

    /// All settings, as proto3 JSON with defaults.
    pub(crate) fn whole(&self) -> &Map<String, Value> {
        &self.whole
    }

    fn text(&self, key: &str) -> &str {
        self.whole.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A port of the two that capture traffic.
    pub(crate) fn port(&self, key: &str) -> String {
        self.whole.get(key).map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn trust_domain(&self) -> &str {
        self.text("trustDomain")
    }

    pub(crate) fn root_namespace(&self) -> &str {
        self.text("rootNamespace")
    }

    /// Whether the agent gathers the application's metrics.
    pub(crate) fn merges_metrics(&self) -> bool {
        self.whole.get("enablePrometheusMerge") != Some(&Value::Bool(false))
    }

    /// Whether the application is reached on localhost (`inboundTrafficPolicy.mode`).
    pub(crate) fn reaches_localhost(&self) -> bool {
        self.whole.get("inboundTrafficPolicy").is_some_and(|policy| policy["mode"] == "LOCALHOST")
    }

    /// Whether a tracing provider wants attributes by OpenTelemetry's conventions.
    pub(crate) fn has_opentelemetry_attributes(&self) -> bool {
        let providers = self.whole.get("extensionProviders").and_then(Value::as_array);
        let asks =
            |provider: &Value| provider["opentelemetry"]["serviceAttributeEnrichment"] == "OTEL_SEMANTIC_CONVENTIONS";
        providers.is_some_and(|providers| providers.iter().any(asks))
    }
}

/// Lays a ProxyConfig over another as Istio does: each field replaces the one below, but `proxyMetadata` is merged, and so are the headers of
/// `proxyHeaders` (`istio: pkg/config/mesh/mesh.go`, MergeProxyConfig).
pub(crate) fn lay(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    // Of these, one excludes the other.
    const NAMES: [&str; 2] = ["serviceCluster", "tracingServiceName"];
    if NAMES.iter().any(|key| over.contains_key(*key)) {
        NAMES.iter().for_each(|key| drop(under.remove(*key)));
    }
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(value)) if key == "proxyMetadata" || key == "proxyHeaders" => {
                known.extend(value.clone());
            }
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}
