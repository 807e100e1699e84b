//! The routes of a host: the paths of all Ingresses that have it. Longer paths come first, an exact one before a prefix of its length, and of
//! two alike that of the older Ingress (`istio: pilot/pkg/config/kube/ingress/virtualservices.go`); a default backend takes the rest.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use api::Service;
use api::ingress::{HttpIngressPath, Ingress, IngressBackend, PathType};
use api::networking::{Destination, HttpMatchRequest, HttpRoute, HttpRouteDestination, VirtualService};
use api::scalars::{Match, PortSelector, StringMatch};
use graph::Reader;
use names::{Hostname, Name};

use super::{host, named_port};
use crate::settings::MeshSettings;
use crate::{Id, Objects};

/// Paths without conditions, as Ingresses had them before there were types of paths.
const ANY: [&str; 4] = ["", "*", "/*", ".*"];
/// What ends a prefix, as Ingresses had them.
const ENDS: [&str; 2] = [".*", "/*"];

/// What the Ingresses, oldest first, say of a host. Prefixes in it are whole parts between slashes.
pub(super) fn of_host<'i>(
    of: &Hostname,
    ingresses: impl Iterator<Item = &'i Id>,
    settings: &MeshSettings,
    read: &mut Reader<'_>,
) -> VirtualService {
    let mut routes = Vec::new();
    let mut default = None;
    let mut taken = BTreeSet::new();
    for id in ingresses {
        let Some(row) = read.input::<Objects<Ingress>>(id) else { continue };
        let mut saying = Saying { id, domain: &settings.base.domain, taken: &mut taken, read };
        let rules = row.spec.rules.iter().filter(|rule| host(&rule.host) == *of);
        let paths = rules.filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths);
        routes.extend(paths.filter_map(|path| saying.path(path)));
        if default.is_none() {
            default =
                row.spec.default_backend.as_ref().and_then(|backend| saying.backend("the default backend", backend));
        }
    }
    routes.sort_by_key(|route| Reverse(specificity(route)));
    routes.extend(default);
    VirtualService { hosts: vec![of.name().clone()], http: routes, ..VirtualService::default() }
}

/// How much a path says, and whether it is exact.
fn specificity(route: &HttpRoute) -> (usize, bool) {
    let uri = route.r#match.first().and_then(|each| each.uri.as_ref());
    match uri.and_then(StringMatch::kind) {
        Some(Match::Exact(path)) => (path.len(), true),
        Some(Match::Prefix(path)) => (path.len(), false),
        Some(Match::Regex(_)) | None => (0, false),
    }
}

/// What one Ingress says.
struct Saying<'f, 'r> {
    id: &'f Id,
    domain: &'f Name,
    /// The paths that are taken: exact or not, and the text.
    taken: &'f mut BTreeSet<(bool, String)>,
    read: &'f mut Reader<'r>,
}

impl Saying<'_, '_> {
    fn note(&mut self, message: String) {
        self.read.note(format!("Ingress {}/{}", self.id.namespace, self.id.name), message);
    }

    fn path(&mut self, written: &HttpIngressPath) -> Option<HttpRoute> {
        let uri = condition(written);
        let kind = uri.as_ref().and_then(StringMatch::kind);
        if let Some(Match::Prefix(prefix)) = kind
            && prefix.contains(['?', '#'])
        {
            self.note(format!("path {:?} is left out: no path holds a ? or a #", written.path));
            return None;
        }
        let alike = match kind {
            Some(Match::Exact(path)) => (true, path.to_owned()),
            Some(Match::Prefix(prefix)) => (false, prefix.trim_end_matches('/').to_owned()),
            Some(Match::Regex(_)) | None => (false, String::new()),
        };
        let route = self.backend(&format!("path {:?}", written.path), &written.backend)?;
        if !self.taken.insert(alike) {
            self.note(format!("path {:?} is left out: an earlier one is alike", written.path));
            return None;
        }
        let condition = uri.map(|uri| HttpMatchRequest { uri: Some(uri), ..HttpMatchRequest::default() });
        Some(HttpRoute { r#match: condition.into_iter().collect(), ..route })
    }

    /// A route to a backend.
    fn backend(&mut self, what: &str, written: &IngressBackend) -> Option<HttpRoute> {
        let Some(service) = &written.service else {
            self.note(format!("{what} is left out: only Services are served"));
            return None;
        };
        let number = match u16::try_from(service.port.number) {
            Ok(0) => {
                let id = Id { name: service.name.clone(), ..self.id.clone() };
                let row = self.read.input::<Objects<Service>>(&id);
                let found = row.and_then(|row| named_port(&row.spec, &service.port.name));
                if found.is_none() {
                    let (name, port) = (&service.name, &service.port.name);
                    self.note(format!("{what} is left out: there is no Service {name} with a port {port:?}"));
                }
                found?
            }
            Ok(number) => number,
            Err(_) => return None,
        };
        let host = Hostname::of_service(&service.name, &self.id.namespace, self.domain);
        let destination =
            Destination { host: host.name().clone(), port: Some(PortSelector { number }), ..Destination::default() };
        let route = HttpRouteDestination { destination: Some(destination), ..HttpRouteDestination::default() };
        Some(HttpRoute { route: vec![route], ..HttpRoute::default() })
    }
}

/// What is asked of the path of a request; nothing for all paths.
fn condition(written: &HttpIngressPath) -> Option<StringMatch> {
    let path = &written.path;
    let exact = |path: &str| StringMatch { exact: Some(Name::from(path)), ..StringMatch::default() };
    let prefix = |path: &str| StringMatch { prefix: Some(Name::from(path)), ..StringMatch::default() };
    match written.path_type.unwrap_or_default() {
        PathType::Exact => Some(exact(path)),
        PathType::Prefix => Some(prefix(path)),
        PathType::ImplementationSpecific if ANY.contains(&path.as_str()) => None,
        PathType::ImplementationSpecific => {
            let shortened = ENDS.iter().find_map(|end| path.strip_suffix(end));
            Some(shortened.map_or_else(|| exact(path), prefix))
        }
    }
}
