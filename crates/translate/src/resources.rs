//! The table of resources: one row of bytes for each key.

use std::sync::Arc;

use graph::{Derived, Reader};
use names::Name;
use proto::Encoded;

use crate::keys::{AssignmentKey, ClusterKey, HostKey, ListenerKey, NamesKey, SecretKey, TableKey};
use crate::{clusters, endpoints, hosts, listeners, nametable, secrets};

/// A resource of any type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResourceKey {
    /// CDS.
    Cluster(Arc<ClusterKey>),
    /// EDS.
    Assignment(Arc<AssignmentKey>),
    /// SDS.
    Secret(Arc<SecretKey>),
    /// LDS.
    Listener(Arc<ListenerKey>),
    /// RDS.
    Table(Arc<TableKey>),
    /// VHDS: the table and the host in it.
    Host(Name, Arc<HostKey>),
    /// NDS.
    Names(Arc<NamesKey>),
    /// PCDS: there is one.
    Trust,
}

/// The table of encoded resources.
pub struct Resources;

impl Derived for Resources {
    type Key = ResourceKey;
    type Value = Encoded;
    const NAME: &'static str = "resource";
    const LEVEL: u8 = 7;

    fn build(key: &ResourceKey, read: &mut Reader<'_>) -> Option<Encoded> {
        match key {
            ResourceKey::Cluster(key) => clusters::encoded(key, read),
            ResourceKey::Assignment(key) => endpoints::encoded(key, read),
            ResourceKey::Secret(key) => secrets::encoded(key, read),
            ResourceKey::Listener(key) => listeners::encoded(key, read),
            ResourceKey::Table(key) => hosts::table(key, read),
            ResourceKey::Host(table, key) => hosts::alone(table, key, read),
            ResourceKey::Names(key) => Some(nametable::encoded(key, read)),
            ResourceKey::Trust => secrets::trust(read),
        }
    }
}
