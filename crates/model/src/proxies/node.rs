//! From what a proxy says of itself to what the mesh wants to know (`istio: pilot/pkg/model/context.go ParseServiceNodeWithMetadata`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use names::{Labels, Name};

use super::{Caps, Interception, Kind, Proxy, SecretAccess};
use crate::endpoints::Locality;

/// A node does not have more.
const ADDRESSES: usize = 64;

/// What a node message says, whatever form it came in.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// `type~address~name.namespace~domain`.
    pub id: String,
    /// Metadata values that are strings.
    pub texts: BTreeMap<String, String>,
    /// Metadata `LABELS`, under `STATIC_LABELS`.
    pub labels: Labels,
    /// Region, zone, subzone.
    pub locality: Locality,
    /// Whether it lists Istio's filters among its extensions; `None` when it lists none at all.
    pub istio_filters: Option<bool>,
    /// It takes route tables host by host.
    pub vhds: bool,
    /// Which Secrets it may have; not from the message, but from who authenticated the stream.
    pub secrets: SecretAccess,
}

impl NodeFacts {
    fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }

    /// The proxy that this is.
    ///
    /// # Errors
    /// When the id is none, in words for the client.
    pub fn proxy(&self) -> Result<Proxy, String> {
        let parts: Vec<&str> = self.id.split('~').collect();
        let [kind, address, workload, domain] = parts.as_slice() else {
            return Err(format!("node id {:?} is not type~address~name.namespace~domain", self.id));
        };
        let kind = match *kind {
            "sidecar" if self.text("GENERATOR") == Some("grpc") => Kind::Grpc,
            "sidecar" => Kind::Sidecar,
            "router" => Kind::Router,
            "waypoint" => Kind::Waypoint,
            "ztunnel" => Kind::Ztunnel,
            other => return Err(format!("node type {other:?} is not known")),
        };
        let (name, of) = workload.rsplit_once('.').unwrap_or((workload, ""));
        let namespace = match self.text("NAMESPACE") {
            Some(namespace) => namespace,
            None if !of.is_empty() => of,
            None => domain.split('.').next().unwrap_or_default(),
        };
        let listed = self.text("INSTANCE_IPS").filter(|ips| !ips.is_empty()).unwrap_or(address);
        let addresses: Vec<IpAddr> = listed.split(',').filter_map(|ip| ip.trim().parse().ok()).collect();
        if addresses.is_empty() {
            return Err(format!("node id {:?} holds no address, nor does INSTANCE_IPS", self.id));
        }
        // Each is looked up, and a gRPC server has a listener for it.
        if addresses.len() > ADDRESSES {
            return Err(format!("{} addresses are more than the {ADDRESSES} that a node may have", addresses.len()));
        }
        Ok(Proxy {
            kind,
            name: Name::from(name),
            namespace: Name::from(namespace),
            labels: self.labels.clone(),
            addresses,
            locality: self.locality.clone(),
            network: Name::from(self.text("NETWORK").unwrap_or_default()),
            cluster: Name::from(self.text("CLUSTER_ID").unwrap_or("Kubernetes")),
            interception: match self.text("INTERCEPTION_MODE") {
                Some("NONE") => Interception::None,
                Some("TPROXY") => Interception::Tproxy,
                _ => Interception::Redirect,
            },
            caps: Caps {
                // A proxy that lists no extensions is taken at its metadata's word.
                istio_filters: self.istio_filters.unwrap_or_else(|| self.texts.contains_key("ISTIO_PROXY_SHA")),
                vhds: self.vhds,
            },
            unprivileged: self.text("UNPRIVILEGED_POD") == Some("true"),
            secrets: self.secrets,
        })
    }
}

#[cfg(test)]
mod tests;
