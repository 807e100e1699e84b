//! Where xDS and mesh meet: a proxy that connects becomes a row, and its views are published.

use std::sync::atomic::{AtomicU64, Ordering};

use xds::{ConnectionId, Nack, Node, Refusal, Source, Variant};

use crate::control::{Command, Control};
use crate::node;

/// Takes proxies into the mesh.
pub struct Discovery {
    control: Control,
    next: AtomicU64,
    whole_tables: bool,
}

impl Discovery {
    /// For the mesh of this control thread.
    #[must_use]
    pub fn new(control: Control, whole_tables: bool) -> Self {
        Self { control, next: AtomicU64::new(1), whole_tables }
    }
}

impl Source for Discovery {
    fn connect(&self, node: Node, variant: Variant) -> Result<ConnectionId, Refusal> {
        let proxy = node::proxy(&node, variant, self.whole_tables).map_err(Refusal::Invalid)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        tracing::info!(node = node.id, client = node.user_agent, "proxy connected");
        self.control.send(Command::Connect(id, Box::new(proxy)));
        Ok(id)
    }

    fn disconnect(&self, connection: ConnectionId) {
        self.control.send(Command::Disconnect(connection));
    }

    fn refused(&self, connection: ConnectionId, nack: &Nack) {
        let names: Vec<&str> = nack.names.iter().map(|name| name.as_str()).collect();
        tracing::warn!(connection, kind = nack.kind.short(), ?names, "a proxy refused configuration: {}", nack.why);
    }
}
