//! ProxyConfig (the kind) as users write it: settings of proxies, used where pods are injected.

use std::collections::BTreeMap;

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{AtMost, Each, nullable};
use crate::selectors::MatchSelector;

/// Settings of the proxies of some workloads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyConfig {
    /// Which workloads.
    pub selector: Option<MatchSelector>,
    /// Worker threads; 0 is one for each core.
    #[schemars(range(min = 0), transform = nullable)]
    pub concurrency: Option<i32>,
    /// Of the proxy's container.
    #[schemars(transform = Each(AtMost(2048)))]
    pub environment_variables: BTreeMap<Name, Name>,
    /// Of the proxy's container.
    pub image: Option<ProxyImage>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyImage {
    /// `default`, `debug` or `distroless`.
    pub image_type: Name,
}
