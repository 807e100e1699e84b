//! Where xDS and mesh meet: a proxy that connects becomes a row, and its views are published.

use std::sync::atomic::{AtomicU64, Ordering};

use model::endpoints::Locality;
use model::proxies::{NodeFacts, Proxy, SecretAccess};
use names::{Name, SpiffeId};
use xds::{Caller, ConnectionId, Nack, Node, Refusal, ResourceType, Source, Variant};

use crate::control::{Command, Control};
use crate::grants::Grants;

/// Takes proxies into the mesh.
pub struct Discovery {
    control: Control,
    next: AtomicU64,
    whole_tables: bool,
    grants: Option<Grants>,
}

impl Discovery {
    /// For the mesh of this control thread. Without `grants` a verified identity may have the Secrets of its namespace.
    #[must_use]
    pub(crate) fn new(control: Control, whole_tables: bool, grants: Option<Grants>) -> Self {
        Self { control, next: AtomicU64::new(1), whole_tables, grants }
    }
}

impl Source for Discovery {
    fn connect(&self, node: Node, variant: Variant, caller: &Caller) -> Result<ConnectionId, Refusal> {
        let facts = facts(&node, variant == Variant::Delta && !self.whole_tables);
        let account = facts.texts.get("SERVICE_ACCOUNT").cloned().unwrap_or_default();
        let mut proxy = facts.proxy().map_err(Refusal::Invalid)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if let Caller::Known(identities) = caller {
            let own = own(&proxy, &account, identities)?;
            proxy.secrets = self.grants.as_ref().map_or(SecretAccess::All, |grants| grants.connect(id, own));
        }
        tracing::info!(node = node.id, client = node.user_agent, "proxy connected");
        self.control.send(Command::Connect(id, Box::new(proxy)));
        Ok(id)
    }

    fn asked(&self, connection: ConnectionId, kind: ResourceType) {
        match (kind, &self.grants) {
            (ResourceType::Nds, _) => self.control.send(Command::AskForNames(connection)),
            (ResourceType::Sds, Some(grants)) => grants.want(connection),
            _ => {}
        }
    }

    fn disconnect(&self, connection: ConnectionId) {
        match &self.grants {
            Some(grants) => grants.disconnect(connection),
            None => self.control.send(Command::Disconnect(connection)),
        }
    }

    fn refused(&self, connection: ConnectionId, nack: &Nack) {
        let names: Vec<&str> = nack.names.iter().map(|name| name.as_str()).collect();
        tracing::warn!(connection, kind = nack.kind.short(), ?names, "a proxy refused configuration: {}", nack.why);
    }
}

/// The identity that is the proxy's. Its namespace and service account must be those that the proxy says it has; trust domains are not
/// compared (`istio: pilot/pkg/xds/auth.go`).
fn own<'a>(proxy: &Proxy, account: &str, identities: &'a [SpiffeId]) -> Result<&'a SpiffeId, Refusal> {
    let own = |id: &&SpiffeId| id.namespace == proxy.namespace && (account.is_empty() || *id.account == *account);
    match identities.iter().find(own) {
        Some(own) => Ok(own),
        None => {
            let all: Vec<String> = identities.iter().map(ToString::to_string).collect();
            let text = format!("a proxy of {}/{account} cannot have the identity {}", proxy.namespace, all.join(", "));
            Err(Refusal::Denied(text))
        }
    }
}

/// What the mesh wants to know of a node message.
fn facts(node: &Node, vhds: bool) -> NodeFacts {
    let (region, zone, subzone) = &node.locality;
    NodeFacts {
        id: node.id.clone(),
        texts: node.texts().map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
        labels: node.map("LABELS").chain(node.map("STATIC_LABELS")).collect(),
        locality: Locality { region: Name::from(region), zone: Name::from(zone), subzone: Name::from(subzone) },
        istio_filters: node.lists_extensions.then_some(node.istio_filters),
        vhds,
        // What a proxy says of itself gives it nothing.
        secrets: SecretAccess::Denied,
    }
}

#[cfg(test)]
mod tests;
