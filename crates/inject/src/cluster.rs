//! What the cluster says: whether its nodes know init containers that stay, and what a remote cluster's webhook says by its path.

use std::collections::BTreeMap;

/// When proxies are init containers that stay ("native sidecars").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativeSidecars {
    /// Where all nodes that may run the pod know them for good.
    #[default]
    Auto,
    /// Always.
    Enabled,
    /// Never.
    Disabled,
}

impl NativeSidecars {
    /// Reads `ENABLE_NATIVE_SIDECARS`.
    ///
    /// # Errors
    /// A word that it does not have.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" | "" => Ok(Self::Auto),
            "true" => Ok(Self::Enabled),
            "false" => Ok(Self::Disabled),
            other => Err(format!("{other:?} is none of auto, true, false")),
        }
    }
}

/// The first minor version of Kubernetes in which they are there for good.
const SINCE: (u32, u32) = (1, 33);

/// Whether proxies are init containers that stay (`istio: pkg/kube/inject/webhook.go`, DetectNativeSidecar). `nodes` are names and kubelet
/// versions; one node that is too old, or whose version cannot be read, is enough to say no, unless the pod has a node already. Without any
/// node the answer is yes.
#[must_use]
pub fn native_sidecars<'a>(
    wanted: NativeSidecars,
    node: Option<&str>,
    nodes: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> bool {
    let known = |version: &str| kubelet(version).is_some_and(|version| version >= SINCE);
    match wanted {
        NativeSidecars::Enabled => true,
        NativeSidecars::Disabled => false,
        NativeSidecars::Auto => {
            let own = node.and_then(|node| nodes.clone().find(|(name, _)| *name == node));
            own.map_or_else(|| nodes.clone().all(|(_, version)| known(version)), |(_, version)| known(version))
        }
    }
}

/// Major and minor of a version such as `v1.33.1-gke.1`.
fn kubelet(version: &str) -> Option<(u32, u32)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Variables that the path of the webhook gives the proxy: `/inject/cluster/east/net/n1` names cluster and network, other pairs are variables
/// with their names in capitals; `--slash--` in a value is `/`. The older `/inject/:ENV:cluster=east:ENV:net=n1` is read too
/// (`istio: pkg/kube/inject/webhook.go`, parseInjectEnvs).
#[must_use]
pub fn path_environment(path: &str) -> BTreeMap<String, String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let said = path.strip_prefix('/').unwrap_or(path).split_once('/').map_or("", |(_, said)| said);
    let pairs: Vec<(String, String)> = match said.strip_prefix(":ENV:") {
        Some(older) => older.split(":ENV:").filter_map(|pair| pair.split_once('=')).map(owned).collect(),
        None => {
            let parts: Vec<&str> = said.split('/').collect();
            let pairs = parts.as_chunks::<2>().0.iter();
            pairs.map(|[name, value]| ((*name).to_owned(), value.replace("--slash--", "/"))).collect()
        }
    };
    let variable = |name: &str| match name {
        "cluster" => "ISTIO_META_CLUSTER_ID".to_owned(),
        "net" => "ISTIO_META_NETWORK".to_owned(),
        other => other.to_uppercase(),
    };
    pairs.into_iter().filter(|(name, _)| !name.is_empty()).map(|(name, value)| (variable(&name), value)).collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_old_node_keeps_proxies_beside_the_applications() {
        use NativeSidecars::{Auto, Disabled, Enabled};
        let nodes = [("a", "v1.33.0"), ("b", "v1.32.9-eks-1"), ("c", "unreadable")];
        let ask = |wanted, node, count: usize| native_sidecars(wanted, node, nodes.iter().copied().take(count));
        assert!(ask(Auto, None, 0) && ask(Auto, None, 1) && !ask(Auto, None, 2));
        assert!(ask(Auto, Some("a"), 3) && !ask(Auto, Some("b"), 3) && !ask(Auto, Some("c"), 3));
        assert!(!ask(Auto, Some("gone"), 3) && ask(Auto, Some("gone"), 1));
        assert!(ask(Enabled, Some("b"), 3) && !ask(Disabled, Some("a"), 1));
        assert!(native_sidecars(Auto, None, [("a", "v2.0.0")].into_iter()));
    }

    #[test]
    fn the_path_names_cluster_network_and_more() {
        let want = |pairs: &[(&str, &str)]| pairs.iter().copied().map(owned).collect::<BTreeMap<_, _>>();
        let (cluster, net) = (("ISTIO_META_CLUSTER_ID", "east"), ("ISTIO_META_NETWORK", "n1"));
        assert_eq!(path_environment("/inject"), want(&[]));
        assert_eq!(path_environment("/inject/"), want(&[]));
        assert_eq!(path_environment("/inject/cluster/east/net/n1/"), want(&[cluster, net]));
        assert_eq!(path_environment("/inject/my_var/a--slash--b/odd"), want(&[("MY_VAR", "a/b")]));
        assert_eq!(
            path_environment("/inject/:ENV:cluster=east:ENV:net=n1:ENV:=x:ENV:e="),
            want(&[cluster, net, ("E", "")])
        );
    }
}
