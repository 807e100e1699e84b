//! Metrics under istiod's names where one exists.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{Encoder, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use xds::Server;

use crate::admission::Admission;
use crate::authority::Stage;
use crate::control::Control;
use crate::secure::Secure;
use crate::start::Start;

/// What is measured; some of it is not there everywhere.
pub(crate) struct Measured<'a> {
    pub(crate) control: &'a Control,
    pub(crate) server: &'a Server,
    pub(crate) secure: Option<&'a Secure>,
    pub(crate) admission: Option<&'a Admission>,
    pub(crate) start: Option<&'a Start>,
    pub(crate) heard: Option<&'a kubernetes::Heard>,
}

/// All metrics as Prometheus reads them. Values are read when asked for; nothing is counted twice.
pub(crate) fn text(of: &Measured<'_>) -> anyhow::Result<String> {
    let Measured { control, server, secure, admission, start, heard } = of;
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
    reports(&registry, server)?;
    if let Some(view) = control.view() {
        let rows = IntGaugeVec::new(Opts::new("meltemi_rows", "Rows of the mesh, by table."), &["table"])?;
        for (table, size) in view.mesh.db().sizes() {
            rows.with_label_values(&[table]).set(i64::try_from(size)?);
        }
        registry.register(Box::new(rows))?;
    }
    if let Some(secure) = secure {
        certificates(&registry, secure)?;
    }
    if let Some(admission) = admission {
        validations(&registry, admission)?;
    }
    if let Some(start) = start {
        let help = "Namespaces whose ConfigMap istio-ca-root-cert holds the root of another control plane.";
        let foreign = IntGauge::new("meltemi_foreign_roots", help)?;
        foreign.set(i64::try_from(start.foreign())?);
        registry.register(Box::new(foreign))?;
        let help =
            "Kinds that cannot be seen now: that is not allowed, or no known version is served. /ready says why.";
        let unseen = IntGaugeVec::new(Opts::new("meltemi_unseen_kinds", help), &["kind"])?;
        start.trouble().keys().for_each(|kind| unseen.with_label_values(&[kind.name()]).set(1));
        registry.register(Box::new(unseen))?;
    }
    if let Some(heard) = heard {
        let help =
            "How long nothing was heard of a kind's watch. More than a minute or two: the API server does not answer.";
        let gauge = GaugeVec::new(Opts::new("meltemi_watch_silence_seconds", help), &["kind"])?;
        for (kind, silence) in heard.silence() {
            gauge.with_label_values(&[kind.name()]).set(silence.as_secs_f64());
        }
        registry.register(Box::new(gauge))?;
    }
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out)?;
    Ok(String::from_utf8(out)?)
}

/// What agents tell of their workloads' health.
fn reports(registry: &Registry, server: &Server) -> anyhow::Result<()> {
    let help = "Reports of agents on their workload's health; they have no effect.";
    let health = IntGaugeVec::new(Opts::new("meltemi_workload_health_reports", help), &["healthy"])?;
    let (well, ill) = server.health_reports();
    health.with_label_values(&["true"]).set(i64::try_from(well)?);
    health.with_label_values(&["false"]).set(i64::try_from(ill)?);
    Ok(registry.register(Box::new(health))?)
}

/// What the API server asked about objects and pods.
fn validations(registry: &Registry, admission: &Admission) -> anyhow::Result<()> {
    let read = |counter: &AtomicU64| i64::try_from(counter.load(Ordering::Relaxed));
    let (counts, pods) = (&admission.counts, &admission.injector.counts);
    for (name, help, value) in [
        ("sidecar_injection_requests_total", "Pods that injection was asked about.", read(&pods.requests)?),
        ("sidecar_injection_success_total", "Pods that were injected.", read(&pods.injected)?),
        ("sidecar_injection_skip_total", "Pods that were left as they are.", read(&pods.skipped)?),
        ("sidecar_injection_failure_total", "Pods that could not be injected.", read(&pods.failed)?),
        ("galley_validation_passed", "Objects that validation let pass.", read(&counts.passed)?),
        ("galley_validation_failed", "Objects that validation refused.", read(&counts.failed)?),
        ("galley_validation_http_error", "Requests to validate that were none.", read(&counts.broken)?),
    ] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))?;
    }
    Ok(())
}

/// What the certificate authority did and when it ends.
fn certificates(registry: &Registry, secure: &Secure) -> anyhow::Result<()> {
    let counts = &secure.counts;
    let read = |counter: &AtomicU64| i64::try_from(counter.load(Ordering::Relaxed));
    let used = secure.keeper.current();
    let (ends, roots_end, now) = (used.authority.not_after(), used.authority.roots_end(), crate::authority::now());
    let stage = match used.stage {
        Stage::Steady => 0,
        Stage::Distributing => 1,
        Stage::Switched(_) => 2,
    };
    for (name, help, value) in [
        ("citadel_server_csr_count", "Certificate requests.", read(&counts.requests)?),
        ("citadel_server_success_cert_issuance_count", "Certificates issued.", read(&counts.issued)?),
        ("citadel_server_authentication_failure_count", "Calls without an identity.", read(&counts.unauthenticated)?),
        ("citadel_server_csr_parsing_err_count", "Certificate requests that are none.", read(&counts.unreadable)?),
        ("citadel_server_cert_chain_expiry_timestamp", "When the CA's chain ends, in Unix time.", ends),
        ("citadel_server_cert_chain_expiry_seconds", "How long the CA's chain still lasts.", ends - now),
        ("citadel_server_root_cert_expiry_timestamp", "When the first root ends, in Unix time.", roots_end),
        ("citadel_server_root_cert_expiry_seconds", "How long the first root still lasts.", roots_end - now),
        (
            "meltemi_root_rotation_stage",
            "0: none runs; 1: a root is made known; 2: the former is still trusted.",
            stage,
        ),
    ] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))?;
    }
    Ok(())
}
