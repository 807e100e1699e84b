//! The container of the agent and its proxy: arguments, environment, probes.

use serde::Serialize;
use serde_json::Value;

use super::volumes::CUSTOM_BOOTSTRAP_FILE;
use super::{Context, opentelemetry, pod};
use crate::annotations::{
    AGENT_LOG_LEVEL, BOOTSTRAP, COMPONENT_LOG_LEVEL, LOG_LEVEL, READY_DELAY, READY_FAILURES, READY_PERIOD,
};

use crate::parts::{HttpGet, Probe, Variable};

/// What a proxy is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Sidecar,
    Gateway,
    /// The application speaks xDS itself; the agent only serves it.
    Grpc,
}

/// Arguments of the agent.
pub(super) fn arguments(context: &Context<'_>, role: Role) -> Vec<String> {
    let global = &context.values().global;
    let kind = if role == Role::Gateway { "router" } else { "sidecar" };
    let level = |name, otherwise: &String| context.annotation_or(name, otherwise).to_owned();
    let mut arguments = vec![
        "proxy".to_owned(),
        kind.to_owned(),
        "--domain".to_owned(),
        format!("$(POD_NAMESPACE).svc.{}", global.proxy.cluster_domain),
        format!("--proxyLogLevel={}", level(LOG_LEVEL, &global.proxy.log_level)),
        format!("--proxyComponentLogLevel={}", level(COMPONENT_LOG_LEVEL, &global.proxy.component_log_level)),
        format!("--log_output_level={}", level(AGENT_LOG_LEVEL, &global.logging.level)),
    ];
    if global.sts.service_port != 0 {
        arguments.push(format!("--stsPort={}", global.sts.service_port));
    }
    if global.log_as_json {
        arguments.push("--log_as_json".to_owned());
    }
    if role == Role::Sidecar && !global.proxy.outlier_log_path.is_empty() {
        arguments.push(format!("--outlierLogPath={}", global.proxy.outlier_log_path));
    }
    arguments
}

/// Variables, each name once: what comes later counts.
#[derive(Default)]
struct Environment(Vec<(String, Variable)>);

impl Environment {
    fn set(&mut self, name: &str, variable: Variable) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = variable,
            None => self.0.push((name.to_owned(), variable)),
        }
    }

    fn text(&mut self, name: &str, value: impl Into<String>) {
        self.set(name, Variable::text(name, value));
    }

    fn field(&mut self, name: &str, path: &'static str) {
        self.set(name, Variable::field(name, path));
    }
}

/// The environment of the agent.
pub(super) fn environment(context: &Context<'_>, role: Role) -> Vec<Variable> {
    let mut all = Environment::default();
    if role == Role::Grpc {
        all.text("ISTIO_META_GENERATOR", "grpc");
        all.text("OUTPUT_CERTS", "/var/lib/istio/data");
    }
    if role != Role::Gateway && context.mesh().reaches_localhost() {
        all.text("REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION", "true");
    }
    control_plane(&mut all, context);
    all.field("POD_NAME", "metadata.name");
    all.field("POD_NAMESPACE", "metadata.namespace");
    all.field("INSTANCE_IP", "status.podIP");
    all.field("SERVICE_ACCOUNT", "spec.serviceAccountName");
    all.field("HOST_IP", "status.hostIP");
    if role != Role::Grpc {
        all.set("ISTIO_CPU_LIMIT", Variable::limit("ISTIO_CPU_LIMIT", "limits.cpu"));
    }
    all.text("PROXY_CONFIG", context.told_proxy_config());
    all.text("ISTIO_META_POD_PORTS", ports(context));
    let applications: Vec<&str> = context.applications().map(pod::name).collect();
    all.text("ISTIO_META_APP_CONTAINERS", applications.join(","));
    if role != Role::Grpc {
        all.set("GOMEMLIMIT", Variable::limit("GOMEMLIMIT", "limits.memory"));
        compliance(&mut all, context);
    }
    identity(&mut all, context, role);
    if role == Role::Sidecar {
        datadog(&mut all, context);
        if let Some(attributes) = opentelemetry::attributes(context) {
            all.text("OTEL_RESOURCE_ATTRIBUTES", attributes);
        }
    }
    context.proxy_metadata().for_each(|(name, value)| all.text(name, value));
    if role == Role::Grpc {
        // gRPC resolves names itself.
        all.text("ISTIO_META_DNS_CAPTURE", "false");
        all.text("DISABLE_ENVOY", "true");
    }
    all.0.into_iter().map(|(_, variable)| variable).collect()
}

fn control_plane(all: &mut Environment, context: &Context<'_>) {
    let global = &context.values().global;
    all.text("PILOT_CERT_PROVIDER", global.pilot_cert_provider.as_str());
    let revision = &context.values().revision;
    let dash = if revision.is_empty() { "" } else { "-" };
    let istiod = format!("istiod{dash}{revision}.{}.svc:15012", global.istio_namespace);
    all.text("CA_ADDR", if global.ca_address.is_empty() { istiod } else { global.ca_address.clone() });
}

fn compliance(all: &mut Environment, context: &Context<'_>) {
    let policy = context.settings.compliance_policy.as_str();
    if !policy.is_empty() {
        all.text("COMPLIANCE_POLICY", policy);
    }
    if policy == "fips-140-3" {
        all.text("GODEBUG", "fips140=only");
    }
}

/// Who and where the workload is.
fn identity(all: &mut Environment, context: &Context<'_>, role: Role) {
    let global = &context.values().global;
    let cluster = if context.cluster.is_empty() { "Kubernetes" } else { &context.cluster };
    all.text("ISTIO_META_CLUSTER_ID", cluster);
    all.field("ISTIO_META_NODE_NAME", "spec.nodeName");
    match role {
        Role::Sidecar => all.text("ISTIO_META_INTERCEPTION_MODE", context.interception()),
        Role::Gateway => {
            let mode = context.proxy.get("interceptionMode").and_then(Value::as_str);
            all.text("ISTIO_META_INTERCEPTION_MODE", mode.unwrap_or("REDIRECT"));
        }
        Role::Grpc => {}
    }
    if !context.network.is_empty() {
        all.text("ISTIO_META_NETWORK", context.network.as_str());
    }
    let label =
        context.labels.get("service.istio.io/workload-name").filter(|name| role == Role::Sidecar && !name.is_empty());
    let name = label.unwrap_or(&context.workload.name);
    if !name.is_empty() {
        all.text("ISTIO_META_WORKLOAD_NAME", name.as_str());
    }
    if let Some(owner) = context.workload.owner() {
        all.text("ISTIO_META_OWNER", owner);
    }
    if role != Role::Grpc && context.annotations.contains_key(BOOTSTRAP) {
        all.text("ISTIO_BOOTSTRAP_OVERRIDE", CUSTOM_BOOTSTRAP_FILE);
    }
    let domain = context.trust_domain();
    let mesh = if global.mesh_id.is_empty() { domain } else { &global.mesh_id };
    for (name, value) in [("ISTIO_META_MESH_ID", mesh), ("TRUST_DOMAIN", domain)] {
        if !value.is_empty() {
            all.text(name, value);
        }
    }
}

/// Variables for Datadog's tracer, which its annotation holds as JSON.
fn datadog(all: &mut Environment, context: &Context<'_>) {
    let text = context.annotations.get("apm.datadoghq.com/env");
    let Some(text) = text.filter(|_| context.values().global.proxy.tracer == "datadog") else { return };
    let variables: Value = serde_json::from_str(text).unwrap_or_default();
    for (name, value) in variables.as_object().into_iter().flatten() {
        all.text(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

/// A port as the agent is told of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Port<'a> {
    #[serde(skip_serializing_if = "Value::is_null")]
    name: &'a Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    host_port: &'a Value,
    container_port: &'a Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    protocol: &'a Value,
    #[serde(skip_serializing_if = "Value::is_null", rename = "hostIP")]
    host_ip: &'a Value,
}

/// All ports of the pod, a line each; those that a user gives the proxy come last, wherever it stands.
fn ports(context: &Context<'_>) -> String {
    let proxy = pod::sidecar(context.pod);
    let containers = context.applications().chain(proxy);
    let port = |port: &Value| {
        let port = Port {
            name: &port["name"],
            host_port: &port["hostPort"],
            container_port: &port["containerPort"],
            protocol: &port["protocol"],
            host_ip: &port["hostIP"],
        };
        serde_json::to_string(&port).unwrap_or_default()
    };
    let lines: Vec<String> = containers.flat_map(|container| pod::items(&container["ports"])).map(port).collect();
    if lines.is_empty() { "[\n]".to_owned() } else { format!("[\n    {}\n]", lines.join("\n    ,")) }
}

/// Whether the proxy is ready, asked again and again; the port is the one of the agent that answers for it.
pub(super) fn readiness(context: &Context<'_>, role: Role, port: u16) -> Probe {
    let proxy = &context.values().global.proxy;
    let seconds = |name: &str, values: &str, otherwise: i64| {
        let said = if role == Role::Gateway { values } else { context.annotation_or(name, values) };
        said.parse().unwrap_or(otherwise)
    };
    Probe {
        http_get: HttpGet { path: "/healthz/ready", port },
        initial_delay_seconds: Some(seconds(READY_DELAY, &proxy.readiness_initial_delay_seconds, 0))
            .filter(|delay| *delay != 0),
        period_seconds: seconds(READY_PERIOD, &proxy.readiness_period_seconds, 15),
        timeout_seconds: 3,
        failure_threshold: seconds(READY_FAILURES, &proxy.readiness_failure_threshold, 4),
    }
}

/// Whether the proxy has started: asked every second.
pub(super) fn startup(context: &Context<'_>) -> Option<Probe> {
    let probe = &context.values().global.proxy.startup_probe;
    probe.enabled.then_some(Probe {
        http_get: HttpGet { path: "/healthz/ready", port: 15021 },
        initial_delay_seconds: None,
        period_seconds: 1,
        timeout_seconds: 3,
        failure_threshold: probe.failure_threshold,
    })
}
