//! ProxyConfig (the kind) as users write it: settings of proxies, used where pods are injected.

use std::collections::BTreeMap;

use names::Name;
use serde::{Deserialize, Serialize};

use crate::selectors::MatchSelector;

/// Settings of the proxies of some workloads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyConfig {
    /// Which workloads.
    pub selector: Option<MatchSelector>,
    /// Worker threads; 0 is one for each core.
    pub concurrency: Option<i32>,
    /// Of the proxy's container.
    pub environment_variables: BTreeMap<Name, Name>,
    /// Of the proxy's container.
    pub image: Option<ProxyImage>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyImage {
    /// `default`, `debug` or `distroless`.
    pub image_type: Name,
}
