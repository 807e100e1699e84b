//! PeerAuthentications: what workloads take from their peers, plain text or mutual TLS.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::security::{MutualTls, MutualTlsMode, PeerAuthentication};
use graph::{Derived, Index, Reader};
use names::{Labels, Namespace};

use crate::settings::settings;
use crate::{Id, Objects, Row};

/// What is taken from peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerMode {
    /// Plain text.
    Disable,
    /// Both.
    Permissive,
    /// Mutual TLS.
    Strict,
}

/// What a workload takes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peers {
    /// On all ports but those below.
    pub mode: PeerMode,
    /// By port of the workload.
    pub ports: BTreeMap<u16, PeerMode>,
}

impl Peers {
    /// What is taken on a port of the workload.
    #[must_use]
    pub fn at(&self, port: u16) -> PeerMode {
        self.ports.get(&port).copied().unwrap_or(self.mode)
    }

    /// For a server that cannot take both plain text and mutual TLS, as in gRPC: clients call it by mutual TLS where it promises that
    /// (`istio: pilot/pkg/grpcgen/lds.go buildInboundFilterChains`).
    #[must_use]
    pub fn decided(self, promises: bool) -> Self {
        let decided = |mode| match mode {
            PeerMode::Permissive if promises => PeerMode::Strict,
            PeerMode::Permissive => PeerMode::Disable,
            PeerMode::Disable | PeerMode::Strict => mode,
        };
        Self {
            mode: decided(self.mode),
            ports: self.ports.into_iter().map(|(port, mode)| (port, decided(mode))).collect(),
        }
    }
}

/// PeerAuthentications by namespace.
pub struct PeersByNamespace;

impl Index for PeersByNamespace {
    type Of = Objects<PeerAuthentication>;
    type Bucket = Namespace;
    type Item = Arc<Row<PeerAuthentication>>;
    const NAME: &'static str = "peer authentications by namespace";

    fn entries(id: &Id, row: &Arc<Row<PeerAuthentication>>) -> Vec<(Namespace, Self::Item)> {
        vec![(id.namespace.clone(), row.clone())]
    }
}

/// The labels that a policy selects by; `None` for one that holds for a whole namespace.
fn selected(row: &Row<PeerAuthentication>) -> Option<&Labels> {
    row.spec.selector.as_ref().map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty())
}

fn mode(written: Option<MutualTls>) -> Option<PeerMode> {
    match written?.mode? {
        MutualTlsMode::Unset => None,
        MutualTlsMode::Disable => Some(PeerMode::Disable),
        MutualTlsMode::Permissive => Some(PeerMode::Permissive),
        MutualTlsMode::Strict => Some(PeerMode::Strict),
    }
}

/// What a namespace takes where no policy selects a workload: its own policy, else the mesh's, else both plain text and mutual TLS. The
/// oldest policy of a scope counts (`istio: pilot/pkg/model/authentication.go GetNamespaceMutualTLSMode`).
pub struct NamespacePeers;

impl Derived for NamespacePeers {
    type Key = Namespace;
    type Value = PeerMode;
    const NAME: &'static str = "peer mode of a namespace";
    const LEVEL: u8 = 2;

    fn build(namespace: &Namespace, read: &mut Reader<'_>) -> Option<PeerMode> {
        let root = settings(read)?.base.root_namespace.clone();
        let mut general = |namespace: &Namespace| {
            let policies = read.bucket::<PeersByNamespace>(namespace);
            let oldest = policies.values().filter(|row| selected(row).is_none()).min_by_key(|row| row.age())?;
            mode(oldest.spec.mtls)
        };
        Some(general(namespace).or_else(|| general(&root)).unwrap_or(PeerMode::Permissive))
    }
}

/// The policies of a namespace, ready to be asked for its workloads.
pub struct Policies {
    general: PeerMode,
    selecting: Vec<Arc<Row<PeerAuthentication>>>,
}

impl Policies {
    /// Those that hold in a namespace. A policy of the root namespace selects no workloads.
    #[must_use]
    pub fn of(namespace: &Namespace, read: &mut Reader<'_>) -> Self {
        let general = read.row::<NamespacePeers>(namespace).map_or(PeerMode::Permissive, |mode| *mode);
        if settings(read).is_none_or(|settings| settings.base.root_namespace == *namespace) {
            return Self { general, selecting: Vec::new() };
        }
        let policies = read.bucket::<PeersByNamespace>(namespace);
        let mut selecting: Vec<_> = policies.values().filter(|row| selected(row).is_some()).cloned().collect();
        selecting.sort_by_key(|row| row.age());
        Self { general, selecting }
    }

    /// What a workload takes: the oldest policy that selects it, over its namespace's
    /// (`istio: pilot/pkg/security/authn/policy_applier.go ComposePeerAuthentication`).
    #[must_use]
    pub fn workload(&self, labels: &Labels) -> Peers {
        let mut own = self.selecting.iter().filter(|row| selected(row).is_some_and(|wanted| labels.contain(wanted)));
        let Some(own) = own.next() else { return Peers { mode: self.general, ports: BTreeMap::new() } };
        let general = mode(own.spec.mtls).unwrap_or(self.general);
        let ports = own.spec.port_level_mtls.iter().flatten().filter_map(|(port, written)| {
            let at = mode(Some(*written)).unwrap_or(general);
            Some((u16::try_from(*port).ok()?, at)).filter(|_| at != general)
        });
        Peers { mode: general, ports: ports.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_take_both_keeps_its_promise() {
        let peers = |mode, at| Peers { mode, ports: BTreeMap::from([(80, at)]) };
        let both = peers(PeerMode::Permissive, PeerMode::Disable);
        assert_eq!(both.clone().decided(true), peers(PeerMode::Strict, PeerMode::Disable));
        assert_eq!(both.decided(false), peers(PeerMode::Disable, PeerMode::Disable));
        let written = peers(PeerMode::Disable, PeerMode::Strict);
        assert_eq!(written.clone().decided(true), written);
    }
}
