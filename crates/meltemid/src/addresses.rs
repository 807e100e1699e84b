//! Hosts of ServiceEntries are given addresses that lead nowhere but into proxies (`istio: pilot/pkg/controllers/ipallocate`), in the status
//! of the object: by the holder of the Lease. What a host was given stays its own; where two have one, the older object keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use api::networking::Allocated;
use api::{Kind, ObjectId, ServiceEntry};
use kubernetes::lease::Lead;
use kubernetes::{Cluster, status};
use model::{Mesh, Objects};
use names::Name;

use crate::control::{Control, View};
use crate::writes::{self, Pace};

/// What was written is seen before it would be written again.
const PACE: Pace = Pace { look: Duration::from_millis(500), again: Duration::from_secs(2) };
/// The addresses of 240.240.0.0/16 and of the first 64 Ki of 2001:2::/48, by number; the first and the last are for nobody.
const NUMBERS: std::ops::RangeInclusive<u16> = 1..=0xfffe;

/// What one object's hosts are to have.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Write {
    object: ObjectId,
    /// The version of the object that was looked at.
    version: Name,
    addresses: Vec<Allocated>,
}

impl writes::Write for Write {
    const WHAT: &'static str = "the addresses of hosts";

    fn due(view: &View) -> Vec<Self> {
        due(&view.mesh)
    }

    fn object(&self) -> &ObjectId {
        &self.object
    }

    async fn write(&self, cluster: &Cluster) -> anyhow::Result<bool> {
        Ok(status::address(cluster, &self.object, &self.version, &self.addresses).await?)
    }
}

/// Gives addresses to all hosts of this revision that are to have some, while the Lease is ours. Never returns.
pub(crate) async fn run(cluster: Cluster, control: Control, lead: Lead) {
    writes::keep::<Write>(cluster, control, lead, PACE).await;
}

/// The objects whose hosts lack addresses, the oldest first.
fn due(mesh: &Mesh) -> Vec<Write> {
    let mut entries: Vec<_> = mesh.db().inputs::<Objects<ServiceEntry>>().collect();
    entries.sort_by_key(|(_, row)| row.age());
    // Who keeps what.
    let mut used = BTreeSet::<IpAddr>::new();
    let mut kept = BTreeMap::<usize, Vec<Allocated>>::new();
    for (at, (_, row)) in entries.iter().enumerate() {
        let hosts: Vec<&Name> = row.spec.allocates(&row.meta.labels).collect();
        let own = row.spec.allocated.iter().filter(|each| hosts.contains(&&each.host) && used.insert(each.address));
        kept.insert(at, own.cloned().collect());
    }
    let mut writes = Vec::new();
    for (at, (id, row)) in entries.iter().enumerate() {
        let mut addresses = kept.remove(&at).unwrap_or_default();
        let mut hosts: Vec<&Name> = row.spec.allocates(&row.meta.labels).collect();
        hosts.dedup();
        hosts.retain(|host| !addresses.iter().any(|each| each.host == **host));
        let mut given = hosts.iter().filter_map(|host| {
            let text = format!("{}/{}/{host}", id.namespace, id.name);
            let [v4, v6] = free(&text, &mut used)?;
            Some([v4, v6].map(|address| Allocated { host: (*host).clone(), address }))
        });
        let new: Vec<Allocated> = given.by_ref().flatten().collect();
        if new.is_empty() {
            continue;
        }
        addresses.extend(new);
        let object = ObjectId { kind: Kind::ServiceEntry, namespace: id.namespace.clone(), name: id.name.clone() };
        let version = mesh.origin(&object).map(|origin| origin.resource_version.clone()).unwrap_or_default();
        writes.push(Write { object, version, addresses });
    }
    writes
}

/// Two addresses that nobody has, taken from then on. Which ones hangs on the host, so that they are the same when it comes back.
fn free(host: &str, used: &mut BTreeSet<IpAddr>) -> Option<[IpAddr; 2]> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, host.as_bytes());
    let first = digest.as_ref().first_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    let numbers = (0..=u16::MAX).map(|step| first.wrapping_add(step)).filter(|number| NUMBERS.contains(number));
    let found = numbers.map(addresses_of).find(|both| both.iter().all(|address| !used.contains(address)));
    if found.is_none() {
        tracing::error!("all addresses for hosts of ServiceEntries are given: {host} gets none");
    }
    used.extend(found.into_iter().flatten());
    found
}

fn addresses_of(number: u16) -> [IpAddr; 2] {
    let [high, low] = number.to_be_bytes();
    let v6 = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, number);
    [IpAddr::V4(Ipv4Addr::new(240, 240, high, low)), IpAddr::V6(v6)]
}

#[cfg(test)]
mod tests;
