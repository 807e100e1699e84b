//! How pods reach Services: rules of the node's namespace lead their addresses to endpoints, and a name server knows their names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::dns;
use super::ground::Ground;

/// What comes within this time is one change.
const TOGETHER: Duration = Duration::from_millis(10);
/// The label by which a slice names its Service.
const OF_SERVICE: &str = "kubernetes.io/service-name";

/// Objects by namespace and name.
type Known<K> = BTreeMap<(String, String), K>;

/// What names and addresses mean.
#[derive(Default)]
struct Map {
    services: Known<Service>,
    slices: Known<EndpointSlice>,
}

/// Leads Services to their endpoints; does not come back.
pub(super) async fn lead(client: &Client, ground: &Arc<Ground>) {
    let services = Api::<Service>::all(client.clone());
    let slices = Api::<EndpointSlice>::all(client.clone());
    let mut services = pin!(watcher::watcher(services, watcher::Config::default()).default_backoff());
    let mut slices = pin!(watcher::watcher(slices, watcher::Config::default()).default_backoff());
    let (names, asked) = watch::channel(Arc::new(dns::Names::new()));
    let mut map = Map::default();
    let led = async {
        let mut changed = false;
        loop {
            tokio::select! {
                Some(event) = services.next() => changed |= take(&mut map.services, event),
                Some(event) = slices.next() => changed |= take(&mut map.slices, event),
                () = tokio::time::sleep(TOGETHER), if changed => {
                    changed = false;
                    names.send_replace(Arc::new(map.names()));
                    let (ground, rules) = (Arc::clone(ground), map.rules());
                    let set = tokio::task::spawn_blocking(move || ground.rules(&rules)).await;
                    if let Err(error) = set.context("setting rules").and_then(|set| set) {
                        eprintln!("services: {error:#}");
                    }
                }
            }
        }
    };
    tokio::select! {
        never = led => never,
        ended = dns::serve(asked) => eprintln!("names of services: {:#}", ended.err().unwrap_or_else(|| anyhow::anyhow!("ended"))),
    }
}

/// Takes an event; whether something has changed.
fn take<K: ResourceExt>(known: &mut Known<K>, event: Result<Event<K>, watcher::Error>) -> bool {
    let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    match event {
        Ok(Event::Apply(object) | Event::InitApply(object)) => _ = known.insert(key(&object), object),
        Ok(Event::Delete(object)) => _ = known.remove(&key(&object)),
        // What is gone since then is dropped at once, what is there comes in the same breath.
        Ok(Event::Init) => known.clear(),
        Ok(Event::InitDone) => {}
        Err(error) => {
            eprintln!("watching services: {error}");
            return false;
        }
    }
    true
}

/// An endpoint that is ready.
struct Ready<'a> {
    address: Ipv4Addr,
    hostname: Option<&'a str>,
}

impl Map {
    fn slices_of<'a>(&'a self, key: &'a (String, String)) -> impl Iterator<Item = &'a EndpointSlice> {
        self.slices
            .iter()
            .filter(move |((namespace, _), slice)| {
                let labels = slice.metadata.labels.as_ref();
                *namespace == key.0 && labels.and_then(|labels| labels.get(OF_SERVICE)) == Some(&key.1)
            })
            .map(|(_, slice)| slice)
    }

    /// Names and their addresses.
    fn names(&self) -> dns::Names {
        let mut names = dns::Names::new();
        for (key, service) in &self.services {
            let Some(spec) = &service.spec else { continue };
            let name = format!("{}.{}.svc.cluster.local", key.1, key.0);
            if let Some(other) = &spec.external_name {
                names.insert(name, dns::Entry::Alias(other.clone()));
                continue;
            }
            let own = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok());
            if let Some(address) = own {
                names.insert(name, dns::Entry::Addresses(vec![address]));
                continue;
            }
            let mut all = Vec::new();
            for ready in self.slices_of(key).flat_map(ready) {
                all.push(ready.address);
                if let Some(hostname) = ready.hostname {
                    let addresses = dns::Entry::Addresses(vec![ready.address]);
                    names.insert(format!("{hostname}.{name}"), addresses);
                }
            }
            names.insert(name, dns::Entry::Addresses(all));
        }
        names
    }

    /// The rules, all of them.
    fn rules(&self) -> String {
        let (mut lines, mut loops) = (String::new(), Vec::new());
        for (key, service) in &self.services {
            let Some(spec) = &service.spec else { continue };
            let Some(address) = spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<Ipv4Addr>().ok()) else { continue };
            for port in spec.ports.iter().flatten() {
                let protocol = port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase();
                let mut targets = Vec::new();
                for slice in self.slices_of(key) {
                    let named =
                        slice.ports.iter().flatten().find(|of| {
                            of.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
                        });
                    let Some(target) = named.and_then(|of| of.port) else { continue };
                    targets.extend(ready(slice).map(|ready| (ready.address, target)));
                }
                loops.extend(targets.iter().map(|(address, _)| format!("{address} . {address}")));
                let to: Vec<String> =
                    targets.iter().enumerate().map(|(at, (ip, port))| format!("{at} : {ip} . {port}")).collect();
                if !to.is_empty() {
                    let (count, to) = (to.len(), to.join(", "));
                    let from = format!("ip daddr {address} {protocol} dport {}", port.port);
                    let _ = writeln!(lines, "{from} dnat ip addr . port to numgen inc mod {count} map {{ {to} }}");
                }
            }
        }
        loops.sort();
        loops.dedup();
        // A pod that reaches itself by a Service answers to its node, not to itself.
        let back = if loops.is_empty() {
            String::new()
        } else {
            format!("ip saddr . ip daddr {{ {} }} masquerade", loops.join(", "))
        };
        let range = super::parts::SERVICE_RANGE;
        format!(
            "table ip services {{}}
             delete table ip services
             table ip services {{
               chain lead {{
                 {lines}
               }}
               chain arriving {{ type nat hook prerouting priority -100; jump lead; }}
               chain own {{ type nat hook output priority -100; jump lead; }}
               chain leaving {{ type nat hook postrouting priority 100; {back}
               }}
               chain passing {{ type filter hook forward priority 0; ip daddr {range} meta l4proto tcp reject with tcp reset; }}
               chain staying {{ type filter hook output priority 0; ip daddr {range} meta l4proto tcp reject with tcp reset; }}
             }}\n"
        )
    }
}

fn ready(slice: &EndpointSlice) -> impl Iterator<Item = Ready<'_>> {
    let ready = slice
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false)));
    ready.filter_map(|endpoint| {
        let address = endpoint.addresses.first()?.parse().ok()?;
        Some(Ready { address, hostname: endpoint.hostname.as_deref() })
    })
}
