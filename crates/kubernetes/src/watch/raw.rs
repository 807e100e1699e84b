//! Objects as the API server gives them, of which only that is kept which may mean something: the rest goes while it is read.

use std::borrow::Cow;

use api::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

mod prune;

/// What `kubectl apply` remembers: as large as the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Keys of ConfigMaps that hold certificates, as `credentialName` names them (`istio: pilot/pkg/credentials/kube/secrets.go`).
const CREDENTIALS: [&str; 2] = ["ca.crt", "cacert"];
/// Secrets of Helm and of service accounts are no credentials of gateways.
pub(super) const SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

/// What is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// The kind.
    pub(super) kind: Kind,
    /// The version that is asked for.
    pub(super) version: &'static str,
}

/// An object without what nobody reads.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    /// As much as a watch needs to know.
    meta: ObjectMeta,
    /// All of it, reduced.
    pub(super) value: Value,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = prune::OBJECT.deserialize(deserializer)?;
        let text = |key: &str| value["metadata"][key].as_str().map(str::to_owned);
        let (name, namespace, resource_version) = (text("name"), text("namespace"), text("resourceVersion"));
        let meta = ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() };
        Ok(Self { meta, value })
    }
}

impl kube::Resource for Raw {
    type DynamicType = Watched;
    type Scope = DynamicResourceScope;

    fn kind(watched: &Watched) -> Cow<'_, str> {
        watched.kind.name().into()
    }

    fn group(watched: &Watched) -> Cow<'_, str> {
        watched.kind.group().into()
    }

    fn version(watched: &Watched) -> Cow<'_, str> {
        watched.version.into()
    }

    fn plural(watched: &Watched) -> Cow<'_, str> {
        watched.kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

impl Watched {
    /// The object as a document of its own: items of lists do not say what they are. None when it cannot mean anything to a mesh whose
    /// settings are in the namespace `root`.
    pub(super) fn document(self, raw: Raw, root: &str) -> Option<Value> {
        let mut value = raw.value;
        let map = value.as_object_mut()?;
        match self.kind {
            Kind::Pod => narrow_pod(map),
            Kind::ConfigMap if raw.meta.namespace.as_deref() != Some(root) => narrow_config_map(map)?,
            _ => {}
        }
        let group = self.kind.group();
        let api_version = if group.is_empty() { self.version.into() } else { format!("{group}/{}", self.version) };
        map.insert("apiVersion".to_owned(), api_version.into());
        map.insert("kind".to_owned(), self.kind.name().into());
        Some(value)
    }
}

/// Annotations of pods are for kubelets and operators; only Istio's mean something here. Of their ports those count that have names, of their
/// conditions whether they are ready.
fn narrow_pod(map: &mut Map<String, Value>) {
    let annotations = map.get_mut("metadata").and_then(|meta| meta.get_mut("annotations"));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.retain(|key, _| key.split('/').next().is_some_and(|domain| domain.ends_with("istio.io")));
    }
    let list = |value: Option<&mut Value>, keep: fn(&mut Value) -> bool| {
        if let Some(list) = value.and_then(Value::as_array_mut) {
            list.retain_mut(keep);
        }
    };
    list(map.get_mut("status").and_then(|status| status.get_mut("conditions")), |condition| {
        condition["type"] == "Ready"
    });
    list(map.get_mut("spec").and_then(|spec| spec.get_mut("containers")), |container| {
        let ports = container.get_mut("ports").and_then(Value::as_array_mut);
        ports.is_some_and(|ports| {
            ports.retain(|port| port.get("name").is_some());
            !ports.is_empty()
        })
    });
}

/// Of ConfigMaps elsewhere only certificates count; they may be as large as they like otherwise.
fn narrow_config_map(map: &mut Map<String, Value>) -> Option<()> {
    map.remove("binaryData");
    let data = map.get_mut("data").and_then(Value::as_object_mut)?;
    data.retain(|key, _| CREDENTIALS.contains(&key.as_str()));
    (!data.is_empty()).then_some(())
}
