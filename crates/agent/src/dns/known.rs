//! What the control plane has told of names, as it is now.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::istio::networking::nds::v1::NameTable;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::metrics::Counters;
use super::names::{Home, Names};

/// The names that are known, shared by the server, the stream that brings them, and the pages that show them.
pub struct Known {
    home: Home,
    table: watch::Sender<Option<Arc<Told>>>,
    pub(super) counters: Counters,
}

/// One table, and how it is looked up.
pub(super) struct Told {
    pub(super) names: Names,
    table: NameTable,
}

impl Known {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(home: Home) -> Arc<Self> {
        Arc::new(Self { home, table: watch::Sender::new(None), counters: Counters::default() })
    }

    /// A new table in place of the last one.
    pub fn take(&self, table: NameTable) {
        let names = Names::new(&table, &self.home);
        tracing::debug!(hosts = table.table.len(), names = names.len(), "names received");
        self.table.send_replace(Some(Arc::new(Told { names, table })));
    }

    /// Whether there was a table.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.table.borrow().is_some()
    }

    pub(super) fn now(&self) -> Option<Arc<Told>> {
        self.table.borrow().clone()
    }

    /// The table and the short names that were added, as `/debug/ndsz` shows them.
    #[must_use]
    pub fn shown(&self) -> Value {
        let Some(told) = self.now() else { return json!({}) };
        let mut all = BTreeMap::new();
        for (host, info) in &told.table.table {
            let plain = json!({ "ips": info.ips, "registry": info.registry });
            for name in self.home.short_names(host, info) {
                all.entry(name).or_insert_with(|| plain.clone());
            }
        }
        for (host, info) in &told.table.table {
            let mut shown = json!({ "ips": info.ips, "registry": info.registry });
            if !info.shortname.is_empty() {
                shown["shortname"] = json!(info.shortname);
                shown["namespace"] = json!(info.namespace);
            }
            all.insert(host.clone(), shown);
        }
        json!({ "table": all })
    }

    /// What was asked since the start, for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.counters.text()
    }
}
