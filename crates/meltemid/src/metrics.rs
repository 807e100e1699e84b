//! Metrics under istiod's names where one exists.

use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};
use xds::Server;

use crate::control::Control;

/// All metrics as Prometheus reads them. Values are read when asked for; nothing is counted twice.
pub(crate) fn text(control: &Control, server: &Server) -> anyhow::Result<String> {
    let registry = Registry::new();
    let by_type = |name: &str, help: &str, of: fn(&xds::Counted) -> u64| -> anyhow::Result<()> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), &["type"])?;
        for counted in server.counted() {
            gauge.with_label_values(&[counted.kind.short()]).set(i64::try_from(of(&counted))?);
        }
        Ok(registry.register(Box::new(gauge))?)
    };
    by_type("pilot_xds_pushes", "Responses sent, by type.", |counted| counted.pushes)?;
    by_type("pilot_total_xds_rejects", "Responses refused by proxies, by type.", |counted| counted.rejects)?;
    by_type("meltemi_xds_resources_sent", "Resources in responses sent, by type.", |counted| counted.resources)?;
    by_type("meltemi_xds_bytes_sent", "Bytes of resources in responses sent, by type.", |counted| counted.bytes)?;
    let version = env!("CARGO_PKG_VERSION");
    let proxies = IntGaugeVec::new(Opts::new("pilot_xds", "Connected proxies."), &["version"])?;
    proxies.with_label_values(&[version]).set(i64::try_from(server.connections().len())?);
    registry.register(Box::new(proxies))?;
    if let Some(view) = control.view() {
        let rows = IntGaugeVec::new(Opts::new("meltemi_rows", "Rows of the mesh, by table."), &["table"])?;
        for (table, size) in view.mesh.db().sizes() {
            rows.with_label_values(&[table]).set(i64::try_from(size)?);
        }
        registry.register(Box::new(rows))?;
    }
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out)?;
    Ok(String::from_utf8(out)?)
}
