//! The Secrets that a proxy's configuration refers to, as far as it may have them (`istio: pilot/pkg/xds/sds.go`).

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::Reader;
use model::Id;
use model::gateways::gateway;
use model::networking::{ClientTlsMode, ClientTlsSettings, ServerTlsMode, ServerTlsSettings};
use model::policy::Policies;
use model::proxies::{SecretAccess, SecretGrant};
use model::scopes::Catalogs;
use names::Name;

use super::Draft;
use crate::keys::{Content, SecretKey, SecretsKey};
use crate::resources::ResourceKey;
use crate::secrets::{PRIVATE, PUBLIC, certificate_name, is_own, roots_name};

/// Names of resources.
type Wanted = BTreeSet<(Name, bool)>;

pub(super) fn all(key: &SecretsKey, grant: &SecretGrant, draft: &mut Draft, read: &mut Reader<'_>) {
    let mut wanted = Wanted::new();
    for id in key.gateways.iter() {
        let Some(row) = gateway(id, read) else { continue };
        row.spec.servers.iter().filter_map(|server| server.tls.as_ref()).for_each(|tls| of_server(tls, &mut wanted));
    }
    of_clusters(key, &mut wanted, read);
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
    wanted.extend(named.iter().filter(|name| !is_own(name)).map(|name| (certificate_name(name), false)));
    let checks = matches!(tls.mode, Some(ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual));
    if !checks || !tls.ca_certificates.is_empty() {
        return;
    }
    let own = Some(&tls.ca_cert_credential_name).filter(|name| !name.is_empty());
    let roots = own.or(named.first().copied()).filter(|name| !is_own(name));
    wanted.extend(roots.map(|name| (roots_name(name), true)));
}

/// Those of the DestinationRules that hold for what the proxy calls.
fn of_clusters(key: &SecretsKey, wanted: &mut Wanted, read: &mut Reader<'_>) {
    let Some(catalog) = read.row::<Catalogs>(&key.scope) else { return };
    let named = catalog.services.iter().map(|entry| &entry.resolved).filter(|resolved| resolved.credentials);
    let rules: BTreeSet<_> = named.map(|resolved| &resolved.rules).collect();
    for rules in rules {
        let Some(policy) = read.row::<Policies>(rules) else { continue };
        let counts = |tls: &&ClientTlsSettings| {
            key.router || policy.selects_workloads || tls.credential_name.starts_with(PUBLIC)
        };
        policy.tls().filter(counts).for_each(|tls| of_client(tls, wanted));
    }
}

fn of_client(tls: &ClientTlsSettings, wanted: &mut Wanted) {
    let mode = tls.mode.unwrap_or_default();
    if tls.credential_name.is_empty()
        || is_own(&tls.credential_name)
        || !matches!(mode, ClientTlsMode::Simple | ClientTlsMode::Mutual)
    {
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
    if grant.access == SecretAccess::Denied {
        return Err("the proxy's identity is not verified");
    }
    let found = |namespace: &str, secret: &str, content| {
        let (namespace, secret) = (Name::from(namespace), Name::from(secret));
        SecretKey {
            name: name.clone(),
            secret: Id { cluster: grant.cluster.clone(), namespace, name: secret },
            content,
        }
    };
    let plain = |path: &str| path.strip_suffix("-cacert").filter(|_| roots).unwrap_or(path).to_owned();
    if let Some(path) = name.strip_prefix(PUBLIC) {
        let path = plain(path);
        return match path.split_once('/') {
            _ if !roots => Err("a ConfigMap has no keys"),
            Some((namespace, map)) if !namespace.is_empty() && !map.is_empty() => {
                Ok(found(namespace, map, Content::PublicRoots))
            }
            _ => Err("it does not name a namespace and a ConfigMap"),
        };
    }
    let path = plain(name.strip_prefix(PRIVATE).ok_or("it names no Secret of the proxy's namespace")?);
    let (namespace, secret) = path.split_once('/').unwrap_or((&grant.namespace, &path));
    if grant.namespace != namespace {
        return Err("it is in another namespace than the proxy");
    }
    match (roots, grant.access) {
        (true, _) => Ok(found(namespace, secret, Content::Roots)),
        (false, SecretAccess::All) => Ok(found(namespace, secret, Content::Certificate)),
        (false, _) => Err("the proxy's account may not read Secrets"),
    }
}
