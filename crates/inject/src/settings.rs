//! What injection is told besides the pod: the mesh's settings, the values of the chart, the injector's own. They change seldom; one
//! [`Settings`] serves many pods.

use std::collections::BTreeMap;

mod injector;
mod mesh;
mod values;

pub use injector::{Injector, Policy};
pub use mesh::Mesh;
pub(crate) use mesh::lay;
pub use values::Values;

/// Settings of an injector.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// ConfigMap `istio`, key `mesh`.
    pub mesh: Mesh,
    /// ConfigMap `istio-sidecar-injector`, key `values`.
    pub values: Values,
    /// ConfigMap `istio-sidecar-injector`, key `config`.
    pub injector: Injector,
    /// Revision of the control plane; empty for the default one.
    pub revision: String,
    /// Variables that templates of users see by their function `env`.
    pub environment: BTreeMap<String, String>,
    /// `COMPLIANCE_POLICY` of proxies; empty for none.
    pub compliance_policy: String,
}

#[cfg(test)]
mod tests;
