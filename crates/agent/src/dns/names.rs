//! What clients may call the hosts of a name table, and what is behind each name. Source: istio: pkg/dns/client/dns.go
//! (`generateAltHosts`, `buildDNSAnswers`, `lookupHost`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proto::istio::networking::nds::v1::NameTable;
use proto::istio::networking::nds::v1::name_table::NameInfo;

/// Where the workload is: it decides which short names there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    /// Its namespace.
    namespace: String,
    /// The domain of the cluster's services, such as `svc.cluster.local`.
    domain: String,
    /// What clients append to a name first.
    search: Option<String>,
}

impl Home {
    /// Of a workload with this DNS domain, which may begin with its namespace.
    #[must_use]
    pub fn new(namespace: &str, domain: &str, search: &[String]) -> Self {
        let own = domain.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('.'));
        Self {
            namespace: namespace.to_owned(),
            domain: own.unwrap_or(domain).to_ascii_lowercase(),
            search: search.first().cloned(),
        }
    }

    /// The short names of a Kubernetes Service; none for one of another domain, where they could be somebody else's.
    pub(super) fn short_names(&self, host: &str, info: &NameInfo) -> Vec<String> {
        let here = !self.domain.is_empty() && host.ends_with(&self.domain);
        if info.registry != "Kubernetes" || !here || info.shortname.is_empty() {
            return Vec::new();
        }
        let (name, namespace) = (&info.shortname, &info.namespace);
        let first = self.domain.split('.').next().unwrap_or_default();
        let mut names = vec![format!("{name}.{namespace}"), format!("{name}.{namespace}.{first}")];
        if *namespace == self.namespace {
            names.push(name.clone());
        }
        names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        names
    }
}

/// The addresses of a name.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Addresses {
    pub(super) v4: Vec<Ipv4Addr>,
    pub(super) v6: Vec<Ipv6Addr>,
}

/// A name that is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found<'a> {
    /// By itself, or by a wildcard.
    Itself(&'a Addresses),
    /// It is another name with the search domain appended: clients try that first, and are told at once which one it is.
    Other(String, &'a Addresses),
}

/// All names, ready to be looked up. Names are in lower case and have no dot at the end.
#[derive(Debug)]
pub(super) struct Names {
    hosts: HashMap<String, Arc<Addresses>>,
    /// With a dot before it.
    search: Option<String>,
}

impl Names {
    /// The names of a table, as a workload calls them. A host's full name is nobody's short name.
    pub(super) fn new(table: &NameTable, home: &Home) -> Self {
        let mut hosts = HashMap::new();
        let mut short = Vec::new();
        for (host, info) in &table.table {
            let addresses = Arc::new(addresses(&info.ips));
            if *addresses == Addresses::default() {
                continue;
            }
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            short.extend(home.short_names(&host, info).into_iter().map(|name| (name, addresses.clone())));
            hosts.insert(host, addresses);
        }
        for (name, addresses) in short {
            hosts.entry(name).or_insert(addresses);
        }
        Self { hosts, search: home.search.as_ref().map(|search| format!(".{search}")) }
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Looks up a name in lower case without a dot at the end: itself first, then the closest wildcard.
    pub(super) fn find(&self, name: &str) -> Option<Found<'_>> {
        if let Some(addresses) = self.hosts.get(name) {
            return Some(Found::Itself(addresses));
        }
        let without = self.without_search(name);
        if let Some(addresses) = without.and_then(|name| self.hosts.get(name)) {
            return without.map(|name| Found::Other(name.to_owned(), addresses));
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(addresses) = self.hosts.get(&format!("*.{parent}")) {
                return Some(Found::Itself(addresses));
            }
            let covering = self.without_search(parent).and_then(|parent| self.hosts.get(&format!("*.{parent}")));
            if let (Some(addresses), Some(name)) = (covering, without) {
                return Some(Found::Other(name.to_owned(), addresses));
            }
            rest = parent;
        }
        None
    }

    /// The name to which a client appended its search domain. Names that end in it anyway are asked for as they are.
    fn without_search<'a>(&self, name: &'a str) -> Option<&'a str> {
        let search = self.search.as_ref()?;
        let rest = name.strip_suffix(search.as_str())?;
        (!rest.is_empty() && !rest.ends_with(&search[1..])).then_some(rest)
    }
}

fn addresses(ips: &[String]) -> Addresses {
    let mut all = Addresses::default();
    for ip in ips {
        match ip.parse() {
            Ok(IpAddr::V4(v4)) => all.v4.push(v4),
            Ok(IpAddr::V6(v6)) => all.v6.push(v6),
            Err(_) => {}
        }
    }
    all
}
