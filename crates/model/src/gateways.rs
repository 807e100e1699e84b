//! Gateways: which ones a router serves, and the rules that are bound to them; those of users, and those that Ingresses become.

use std::sync::Arc;

use api::networking::Gateway;
use graph::{Index, Reader};
use names::{Hostname, Labels, Namespace, Selector};

use crate::ingress::{self, IngressGateways, IngressRefs, IngressRules};
use crate::inputs::Age;
use crate::rules::{Rule, RuleRef, Rules, RulesByGateway};
use crate::settings::settings;
use crate::{Id, Objects, Row};

/// A Gateway that a router serves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GatewayId {
    /// The Gateway of this name.
    Written(Id),
    /// What this Ingress becomes.
    Ingress(Id),
}

impl GatewayId {
    /// The object, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Written(id) => format!("Gateway {}/{}", id.namespace, id.name),
            Self::Ingress(id) => format!("Ingress {}/{}", id.namespace, id.name),
        }
    }
}

/// A rule that routes for a gateway.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RuleId {
    /// The VirtualService of this name.
    Written(Id),
    /// What Ingresses say of this host.
    Ingress(Hostname),
}

/// All Gateways with their selectors.
pub struct GatewaySelectors;

impl Index for GatewaySelectors {
    type Of = Objects<Gateway>;
    type Bucket = ();
    type Item = (Selector, Age);
    const NAME: &'static str = "gateways";

    fn entries(_: &Id, row: &Arc<Row<Gateway>>) -> Vec<((), Self::Item)> {
        vec![((), (Selector(row.spec.selector.clone()), row.age()))]
    }
}

/// The Gateways that select a router with these labels, oldest first. A Gateway without selector selects every router.
pub(crate) fn selecting(labels: &Labels, read: &mut Reader<'_>) -> Vec<GatewayId> {
    let all = read.bucket::<GatewaySelectors>(&());
    let fitting = all.iter().filter(|(_, (selector, _))| selector.matches(labels));
    let written = fitting.map(|(id, (_, age))| (age.clone(), GatewayId::Written(id.clone())));
    let ingresses = ingress::selecting(labels, read).into_iter().map(|(age, id)| (age, GatewayId::Ingress(id)));
    let mut found: Vec<_> = written.chain(ingresses).collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

/// What a Gateway says.
#[must_use]
pub fn gateway(id: &GatewayId, read: &mut Reader<'_>) -> Option<Arc<Row<Gateway>>> {
    match id {
        GatewayId::Written(id) => read.input::<Objects<Gateway>>(id),
        GatewayId::Ingress(id) => read.row::<IngressGateways>(id).map(|opened| opened.gateway.clone()),
    }
}

/// What a rule says.
#[must_use]
pub fn rule(id: &RuleId, read: &mut Reader<'_>) -> Option<Arc<Rule>> {
    match id {
        RuleId::Written(id) => read.row::<Rules>(id),
        RuleId::Ingress(host) => read.row::<IngressRules>(host),
    }
}

/// A rule that is bound to a Gateway.
pub struct Bound {
    /// The rule.
    pub id: RuleId,
    /// Where it was written.
    pub namespace: Namespace,
    /// What has to be known of it.
    pub rule: RuleRef,
}

/// The rules that are bound to a Gateway and that its namespace may see.
#[must_use]
pub fn bound(id: &GatewayId, row: &Row<Gateway>, read: &mut Reader<'_>) -> Vec<Bound> {
    let Some(settings) = settings(read) else { return Vec::new() };
    let default = &settings.mesh.default_virtual_service_export_to;
    let (namespace, name) = (&row.meta.namespace, &row.meta.name);
    let mut found = Vec::new();
    for (of, (rule, export)) in &read.bucket::<RulesByGateway>(&(namespace.clone(), name.clone())) {
        if export.allows(namespace, &of.namespace, default) {
            let (id, namespace) = (RuleId::Written(of.clone()), of.namespace.clone());
            found.push(Bound { id, namespace, rule: rule.clone() });
        }
    }
    let GatewayId::Ingress(ingress) = id else { return found };
    let hosts = read.row::<IngressGateways>(ingress).map(|opened| opened.hosts.clone()).unwrap_or_default();
    for host in hosts {
        if let Some(rule) = read.row::<IngressRefs>(&host) {
            let (id, namespace) = (RuleId::Ingress(host), ingress.namespace.clone());
            found.push(Bound { id, namespace, rule: (*rule).clone() });
        }
    }
    found
}
