//! From a node message to what the mesh wants to know of a proxy (`istio: pilot/pkg/model/context.go ParseServiceNodeWithMetadata`).

use std::net::IpAddr;

use model::endpoints::Locality;
use model::proxies::{Caps, Interception, Kind, Proxy};
use names::{Labels, Name};
use xds::{Node, Variant};

/// Reads the id `type~address~name.namespace~domain` and the metadata.
///
/// # Errors
/// When the id is none, in words for the client.
pub fn proxy(node: &Node, variant: Variant, whole_tables: bool) -> Result<Proxy, String> {
    let parts: Vec<&str> = node.id.split('~').collect();
    let [kind, address, workload, domain] = parts.as_slice() else {
        return Err(format!("node id {:?} is not type~address~name.namespace~domain", node.id));
    };
    let grpc = node.text("GENERATOR") == Some("grpc");
    let kind = match *kind {
        "sidecar" if grpc => Kind::Grpc,
        "sidecar" => Kind::Sidecar,
        "router" => Kind::Router,
        "waypoint" => Kind::Waypoint,
        "ztunnel" => Kind::Ztunnel,
        other => return Err(format!("node type {other:?} is not known")),
    };
    let (name, of) = workload.rsplit_once('.').unwrap_or((workload, ""));
    let namespace = match node.text("NAMESPACE") {
        Some(namespace) => namespace,
        None if !of.is_empty() => of,
        None => domain.split('.').next().unwrap_or_default(),
    };
    let listed = node.text("INSTANCE_IPS").filter(|ips| !ips.is_empty()).unwrap_or(address);
    let addresses: Vec<IpAddr> = listed.split(',').filter_map(|ip| ip.trim().parse().ok()).collect();
    if addresses.is_empty() {
        return Err(format!("node id {:?} holds no address, nor does INSTANCE_IPS", node.id));
    }
    Ok(Proxy {
        kind,
        name: Name::from(name),
        namespace: Name::from(namespace),
        labels: labels(node),
        addresses,
        locality: locality(node),
        network: Name::from(node.text("NETWORK").unwrap_or_default()),
        cluster: Name::from(node.text("CLUSTER_ID").unwrap_or("Kubernetes")),
        interception: match node.text("INTERCEPTION_MODE") {
            Some("NONE") => Interception::None,
            Some("TPROXY") => Interception::Tproxy,
            _ => Interception::Redirect,
        },
        caps: caps(node, variant, whole_tables),
        unprivileged: node.text("UNPRIVILEGED_POD") == Some("true"),
    })
}

fn labels(node: &Node) -> Labels {
    node.map("LABELS").chain(node.map("STATIC_LABELS")).collect()
}

fn locality(node: &Node) -> Locality {
    let (region, zone, subzone) = &node.locality;
    Locality { region: Name::from(region), zone: Name::from(zone), subzone: Name::from(subzone) }
}

/// Istio's filters are known by the list of extensions; a proxy that lists none is taken at its metadata's word.
fn caps(node: &Node, variant: Variant, whole_tables: bool) -> Caps {
    let istio = match node.lists_extensions {
        true => node.istio_filters,
        false => node.text("ISTIO_PROXY_SHA").is_some(),
    };
    Caps { istio_filters: istio, vhds: variant == Variant::Delta && !whole_tables }
}

#[cfg(test)]
mod tests;
