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
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// Worker threads; 0 is one for each core.
    #[schemars(range(min = 0), transform = nullable)]
    pub concurrency: Option<i32>,
    /// Variables of the proxy, beside those that it has.
    #[schemars(transform = Each(AtMost(2048)))]
    pub environment_variables: BTreeMap<Name, Name>,
    /// Image of the proxy.
    pub image: Option<ProxyImage>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyImage {
    /// Kind of the image: default, debug or distroless.
    pub image_type: Name,
}
