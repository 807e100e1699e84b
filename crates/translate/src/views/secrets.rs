//! The Secrets that a gateway refers to, as far as it may have them (`istio: pilot/pkg/xds/sds.go`).

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::Reader;
use model::networking::{ClientTlsMode, ClientTlsSettings, DestinationRule, Gateway, ServerTlsMode, ServerTlsSettings};
use model::proxies::{SecretAccess, SecretGrant};
use model::scopes::Catalogs;
use model::{Id, Objects};
use names::Name;

use super::Draft;
use crate::keys::{Router, SecretKey};
use crate::resources::ResourceKey;
use crate::secrets::{certificate_name, roots_name};

/// Names of resources.
type Wanted = BTreeSet<(Name, bool)>;

pub(super) fn all(router: &Router, grant: &SecretGrant, draft: &mut Draft, read: &mut Reader<'_>) {
    let mut wanted = Wanted::new();
    for id in router.gateways.iter() {
        let Some(row) = read.input::<Objects<Gateway>>(id) else { continue };
        row.spec.servers.iter().filter_map(|server| server.tls.as_ref()).for_each(|tls| of_server(tls, &mut wanted));
    }
    of_clusters(router, &mut wanted, read);
    for (name, roots) in wanted {
        match granted(&name, roots, grant) {
            Ok(key) => draft.add(name, ResourceKey::Secret(Arc::new(key))),
            Err(why) => read.note(name.to_string(), format!("is not sent: {why}")),
        }
    }
}

fn of_server(tls: &ServerTlsSettings, wanted: &mut Wanted) {
    let named: Vec<&Name> =
        std::iter::once(&tls.credential_name).chain(&tls.credential_names).filter(|name| !name.is_empty()).collect();
    wanted.extend(named.iter().map(|name| (certificate_name(name), false)));
    let checks = matches!(tls.mode, Some(ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual));
    if !checks || !tls.ca_certificates.is_empty() {
        return;
    }
    let own = Some(&tls.ca_cert_credential_name).filter(|name| !name.is_empty());
    wanted.extend(own.or(named.first().copied()).map(|name| (roots_name(name), true)));
}

/// Those of the DestinationRules that hold for what the gateway calls.
fn of_clusters(router: &Router, wanted: &mut Wanted, read: &mut Reader<'_>) {
    let Some(catalog) = read.row::<Catalogs>(&router.scope) else { return };
    let rules: BTreeSet<&Id> = catalog.services.iter().flat_map(|entry| entry.resolved.rules.iter()).collect();
    for id in rules {
        let Some(row) = read.input::<Objects<DestinationRule>>(id) else { continue };
        let subsets = row.spec.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        for policy in row.spec.traffic_policy.iter().chain(subsets) {
            let ports = policy.port_level_settings.iter().filter_map(|port| port.tls.as_ref());
            policy.tls.iter().chain(ports).for_each(|tls| of_client(tls, wanted));
        }
    }
}

fn of_client(tls: &ClientTlsSettings, wanted: &mut Wanted) {
    let mode = tls.mode.unwrap_or_default();
    if tls.credential_name.is_empty() || !matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) {
        return;
    }
    if mode == ClientTlsMode::Mutual {
        wanted.insert((certificate_name(&tls.credential_name), false));
    }
    if tls.insecure_skip_verify != Some(true) {
        wanted.insert((roots_name(&tls.credential_name), true));
    }
}

/// The Secret behind a name, if it may be had.
fn granted(name: &Name, roots: bool, grant: &SecretGrant) -> Result<SecretKey, &'static str> {
    match (grant.access, roots) {
        (SecretAccess::Denied, _) => return Err("the proxy's identity is not verified"),
        (SecretAccess::Roots, false) => return Err("the proxy's account may not read Secrets"),
        (SecretAccess::Roots, true) | (SecretAccess::All, _) => {}
    }
    let path = name.strip_prefix("kubernetes://").ok_or("it names no Secret of the cluster")?;
    let path = if roots { path.strip_suffix("-cacert").unwrap_or(path) } else { path };
    let (namespace, secret) = path.split_once('/').unwrap_or((&grant.namespace, path));
    if grant.namespace != namespace {
        return Err("it is in another namespace than the proxy");
    }
    let secret = Id { cluster: grant.cluster.clone(), namespace: grant.namespace.clone(), name: Name::from(secret) };
    Ok(SecretKey { name: name.clone(), secret, roots })
}
