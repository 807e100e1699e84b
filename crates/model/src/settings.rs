//! Mesh settings as a row: whatever depends on them is rebuilt when the ConfigMap changes.

use std::sync::Arc;

use api::core::ConfigMap;
use api::mesh::MeshConfig;
use graph::{Derived, Input, Reader};
use names::{Name, Namespace};

use crate::{Id, Objects, Row};

/// What is fixed at start: the one row of its table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// Namespace of the control plane and of mesh-wide objects, usually `istio-system`.
    pub root_namespace: Namespace,
    /// The config cluster.
    pub cluster: Name,
    /// DNS domain of Services, usually `cluster.local`.
    pub domain: Name,
    /// Name of the ConfigMap with the settings: `istio`, or `istio-<revision>`.
    pub config_map: Name,
    /// Namespace of the gateways that serve Ingresses, and of the Service in front of them.
    pub ingress_namespace: Namespace,
    /// The revision of this control plane: objects with label `istio.io/rev` of another are not used.
    pub revision: Name,
}

impl Base {
    /// Istio's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root_namespace: Name::from("istio-system"),
            cluster: Name::from("Kubernetes"),
            domain: Name::from("cluster.local"),
            config_map: Name::from("istio"),
            ingress_namespace: Name::from("istio-system"),
            revision: Name::from("default"),
        }
    }
}

impl Default for Base {
    fn default() -> Self {
        Self::new()
    }
}

/// The table of [`Base`].
pub struct Bases;

impl Input for Bases {
    type Key = ();
    type Value = Base;
    const NAME: &'static str = "base";
}

/// The roots that vouch for the mesh's workloads, each as PEM; the one that signs now comes first. The one row of its table, absent
/// without a certificate authority.
pub struct TrustBundle;

impl Input for TrustBundle {
    type Key = ();
    type Value = Vec<String>;
    const NAME: &'static str = "trust-bundle";
}

/// MeshConfig with all defaults filled in, and what is fixed at start.
#[derive(Clone, PartialEq, Debug)]
pub struct MeshSettings {
    /// What is fixed at start.
    pub base: Base,
    /// The user's settings over Istio's defaults.
    pub mesh: Arc<MeshConfig>,
}

impl MeshSettings {
    /// The ConfigMap in which they are.
    pub(crate) fn place(base: &Base) -> Id {
        Id { cluster: base.cluster.clone(), namespace: base.root_namespace.clone(), name: base.config_map.clone() }
    }

    /// As they are written there.
    pub(crate) fn new(base: Base, written: Option<&Row<ConfigMap>>) -> Self {
        let text = written.and_then(|map| map.spec.data.get("mesh")).map_or("", |text| text.as_str());
        let (mesh, _issues) = MeshConfig::from_yaml(text);
        Self { base, mesh: Arc::new(mesh) }
    }
}

/// The table of [`MeshSettings`]: one row.
pub struct Settings;

impl Derived for Settings {
    type Key = ();
    type Value = MeshSettings;
    const NAME: &'static str = "settings";
    const LEVEL: u8 = 1;

    fn build((): &(), read: &mut Reader<'_>) -> Option<MeshSettings> {
        let base = read.input::<Bases>(&()).map(|base| (*base).clone()).unwrap_or_default();
        let written = read.input::<Objects<ConfigMap>>(&MeshSettings::place(&base));
        Some(MeshSettings::new(base, written.as_deref()))
    }
}

/// The settings row, which is always there.
pub fn settings(read: &mut Reader<'_>) -> Option<Arc<MeshSettings>> {
    read.row::<Settings>(&())
}
