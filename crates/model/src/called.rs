//! What clients may call a service: names and addresses, as virtual hosts list them.

use names::{Hostname, Name, Namespace};

/// The absolute form of a name, with the dot at its end; wildcards have none.
#[must_use]
pub fn absolute(host: &Hostname) -> Option<Name> {
    let named = !host.is_wildcard() && host.as_str().parse::<std::net::IpAddr>().is_err();
    named.then(|| Name::from(format!("{host}.")))
}

/// A service, as far as its names depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its host.
    pub host: &'a Hostname,
    /// Its namespace.
    pub namespace: &'a Namespace,
    /// It is one of Kubernetes, whose names DNS search paths complete.
    pub kubernetes: bool,
    /// Its pods have names of their own.
    pub headless: bool,
    /// Its virtual addresses and networks.
    pub addresses: &'a [Name],
    /// Other hosts that stand for it.
    pub aliases: &'a [Hostname],
}

/// What clients in the namespace `viewer` (nothing for those elsewhere) may call a service: its name in full and absolute, the shorter
/// forms that their DNS search path completes, its aliases and its addresses
/// (`istio: pilot/pkg/networking/core/httproute.go generateVirtualHostDomains`).
#[must_use]
pub fn called(service: &Named<'_>, viewer: Option<&Namespace>) -> Vec<Name> {
    let mut all = names_of(service.host, service.namespace, viewer, service.kubernetes);
    for alias in service.aliases {
        let mut parts = alias.as_str().split('.');
        let of = parts.nth(1).map(Name::from).unwrap_or_default();
        all.extend(names_of(alias, &of, viewer, alias.as_str().contains(".svc.")));
    }
    if service.headless {
        let pods: Vec<Name> = all.iter().map(|name| Name::from(format!("*.{name}"))).collect();
        all.extend(pods);
    }
    all.extend(service.addresses.iter().filter(|address| !address.contains('/')).cloned());
    all
}

fn names_of(host: &Hostname, of: &Name, viewer: Option<&Namespace>, kubernetes: bool) -> Vec<Name> {
    let mut all = vec![host.name().clone()];
    all.extend(absolute(host));
    if kubernetes {
        let name = host.as_str().split('.').next().unwrap_or_default();
        if viewer == Some(of) {
            all.push(Name::from(name));
        }
        all.push(Name::from(format!("{name}.{of}")));
        all.push(Name::from(format!("{name}.{of}.svc")));
    }
    all
}
