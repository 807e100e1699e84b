//! Group `telemetry.istio.io`: what is logged, counted and traced.

use std::collections::BTreeMap;

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::spec_kind;
use crate::scalars::{Duration, keywords};
use crate::schema::{AtMostOne, Rule, nullable, required};
use crate::selectors::{self, MatchSelector, PolicyTargetReference, one_target};
use crate::{Column, Issues, ObjectMeta, Shown, rules};

spec_kind!(
    Telemetry,
    "telemetry.istio.io",
    &["v1", "v1alpha1"],
    "telemetries",
    check,
    Shown { short_name: Some("telemetry"), stored_at: Some("v1alpha1"), columns: &[Column::AGE], ..Shown::PLAIN }
);

/// Tracing, metrics and logs of some workloads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = one_target())]
pub struct Telemetry {
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// What it is attached to: the older form.
    pub target_ref: Option<PolicyTargetReference>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// What is traced.
    pub tracing: Vec<Tracing>,
    /// What is counted.
    pub metrics: Vec<Metrics>,
    /// What is logged.
    pub access_logging: Vec<AccessLogging>,
}

/// Tracing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tracing {
    /// Requests it is for: those sent, received, or both.
    pub r#match: Option<ModeSelector>,
    /// Where spans go: extension providers of the mesh.
    pub providers: Vec<ProviderRef>,
    /// Share of requests that is traced, 0 to 100.
    #[schemars(range(min = 0, max = 100), transform = nullable)]
    pub random_sampling_percentage: Option<f64>,
    /// Whether no spans are reported.
    #[schemars(transform = nullable)]
    pub disable_span_reporting: Option<bool>,
    /// Further tags of spans, by name.
    pub custom_tags: BTreeMap<Name, CustomTag>,
    /// Whether sampling goes by the request id; true when unset.
    #[schemars(transform = nullable)]
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Whether spans have the tags of the mesh; true when unset.
    #[schemars(transform = nullable)]
    pub enable_istio_tags: Option<bool>,
    /// Whether trace headers are not passed on.
    #[schemars(transform = nullable)]
    pub disable_context_propagation: Option<bool>,
}

/// Which side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModeSelector {
    /// What is sent, received, or both.
    pub mode: Option<WorkloadMode>,
}

/// An entry of the mesh settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderRef {
    /// Name of the extension provider.
    #[schemars(length(min = 1), transform = required)]
    pub name: Name,
}

/// A tag: exactly one form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("literal | environment | header | formatter"))]
pub struct CustomTag {
    /// A fixed value.
    pub literal: Option<Valued>,
    /// A variable of the proxy.
    pub environment: Option<Named>,
    /// A header of the request.
    pub header: Option<Named>,
    /// A format of the access log.
    pub formatter: Option<Valued>,
}

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Valued {
    /// The value.
    #[schemars(length(min = 1), transform = required)]
    pub value: Name,
}

/// A name, and what stands where it gives nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Named {
    /// The name.
    #[schemars(length(min = 1), transform = required)]
    pub name: Name,
    /// What is taken where there is none.
    pub default_value: Name,
}

/// Metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// Where metrics go: extension providers of the mesh.
    pub providers: Vec<ProviderRef>,
    /// Changes of metrics; later ones win.
    pub overrides: Vec<MetricsOverrides>,
    /// Time between two reports of open TCP connections.
    pub reporting_interval: Option<Duration>,
}

/// A change of some metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsOverrides {
    /// Metrics that are changed; all without.
    pub r#match: Option<MetricSelector>,
    /// Whether they are switched off.
    #[schemars(transform = nullable)]
    pub disabled: Option<bool>,
    /// Changes of tags, by name.
    pub tag_overrides: BTreeMap<Name, TagOverride>,
}

/// Which metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("metric | customMetric"))]
pub struct MetricSelector {
    /// A metric of the mesh.
    pub metric: Option<IstioMetric>,
    /// Another metric.
    #[schemars(length(min = 1))]
    pub custom_metric: Option<Name>,
    /// What is sent, received, or both.
    pub mode: Option<WorkloadMode>,
}

/// A changed tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.operation) || self.operation != 'UPSERT' || (has(self.value) && self.value != '')",
    "UPSERT needs a value",
))]
#[schemars(transform = Rule(
    "!has(self.operation) || self.operation != 'REMOVE' || !has(self.value)",
    "REMOVE takes no value",
))]
pub struct TagOverride {
    /// Whether the tag is set or removed.
    pub operation: Option<TagOperation>,
    /// Expression for the value of the tag.
    pub value: Name,
}

/// Logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessLogging {
    /// Requests it is for: those sent, received, or both.
    pub r#match: Option<ModeSelector>,
    /// Where entries go: extension providers of the mesh.
    pub providers: Vec<ProviderRef>,
    /// Whether nothing is logged.
    #[schemars(transform = nullable)]
    pub disabled: Option<bool>,
    /// Requests that are logged; all without.
    pub filter: Option<LogFilter>,
}

/// Which log entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogFilter {
    /// Expression in CEL that is true for what is logged.
    pub expression: Name,
}

keywords! {
    /// Client, server or both.
    pub enum WorkloadMode {
        ClientAndServer = "CLIENT_AND_SERVER", Client = "CLIENT", Server = "SERVER",
    }
}

keywords! {
    /// Istio's metrics.
    pub enum IstioMetric {
        All = "ALL_METRICS", RequestCount = "REQUEST_COUNT", RequestDuration = "REQUEST_DURATION",
        RequestSize = "REQUEST_SIZE", ResponseSize = "RESPONSE_SIZE", TcpOpened = "TCP_OPENED_CONNECTIONS",
        TcpClosed = "TCP_CLOSED_CONNECTIONS", TcpSent = "TCP_SENT_BYTES", TcpReceived = "TCP_RECEIVED_BYTES",
        GrpcRequests = "GRPC_REQUEST_MESSAGES", GrpcResponses = "GRPC_RESPONSE_MESSAGES",
    }
}

keywords! {
    /// What is done to a tag.
    pub enum TagOperation { Upsert = "UPSERT", Remove = "REMOVE" }
}

/// Rules of Telemetry (`istio: pkg/config/validation/validation.go ValidateTelemetry`).
fn check(spec: &Telemetry, _: &ObjectMeta, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), spec.target_ref.as_ref(), &spec.target_refs, issues);
    if spec.tracing.len() > 1 {
        issues.warning("spec.tracing", "only the first entry is used");
    }
    for (at, each) in spec.tracing.iter().enumerate() {
        tracing(&format!("spec.tracing[{at}]"), each, issues);
    }
    for (at, each) in spec.metrics.iter().enumerate() {
        let path = format!("spec.metrics[{at}]");
        providers(&path, &each.providers, issues);
        if let Some(interval) = each.reporting_interval {
            rules::duration(&format!("{path}.reportingInterval"), interval, issues);
        }
        for (number, change) in each.overrides.iter().enumerate() {
            overrides(&format!("{path}.overrides[{number}]"), change, issues);
        }
    }
    for (at, each) in spec.access_logging.iter().enumerate() {
        providers(&format!("spec.accessLogging[{at}]"), &each.providers, issues);
    }
}

fn providers(path: &str, providers: &[ProviderRef], issues: &mut Issues) {
    for (at, _) in providers.iter().enumerate().filter(|(_, provider)| provider.name.is_empty()) {
        issues.error(format!("{path}.providers[{at}].name"), "a provider needs a name");
    }
}

fn tracing(path: &str, tracing: &Tracing, issues: &mut Issues) {
    if tracing.providers.len() > 1 {
        issues.warning(format!("{path}.providers"), "only the first provider is used");
    }
    providers(path, &tracing.providers, issues);
    if tracing.random_sampling_percentage.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
        issues.error(format!("{path}.randomSamplingPercentage"), "a percentage is in 0..100");
    }
    for (name, tag) in &tracing.custom_tags {
        if name.is_empty() {
            issues.error(format!("{path}.customTags"), "a tag needs a name");
        }
        let path = format!("{path}.customTags.{name}");
        let forms = [
            tag.literal.as_ref().map(|form| ("literal.value", &form.value)),
            tag.environment.as_ref().map(|form| ("environment.name", &form.name)),
            tag.header.as_ref().map(|form| ("header.name", &form.name)),
            tag.formatter.as_ref().map(|form| ("formatter.value", &form.value)),
        ];
        match forms.into_iter().flatten().collect::<Vec<_>>().as_slice() {
            [(field, value)] if value.is_empty() => issues.error(format!("{path}.{field}"), "must not be empty"),
            [_] => {}
            [] => issues.warning(path, "without literal, environment, header or formatter there is no tag"),
            _ => issues.error(path, "literal, environment, header and formatter exclude each other"),
        }
    }
}

fn overrides(path: &str, change: &MetricsOverrides, issues: &mut Issues) {
    if let Some(wanted) = &change.r#match {
        if wanted.metric.is_some() && wanted.custom_metric.is_some() {
            issues.error(format!("{path}.match"), "metric and customMetric exclude each other");
        }
        if wanted.custom_metric.as_ref().is_some_and(|name| name.is_empty()) {
            issues.error(format!("{path}.match.customMetric"), "must not be empty");
        }
    }
    for (name, tag) in &change.tag_overrides {
        let path = format!("{path}.tagOverrides.{name}.value");
        match tag.operation.unwrap_or_default() {
            TagOperation::Upsert if tag.value.is_empty() => issues.error(path, "UPSERT needs a value"),
            TagOperation::Remove if !tag.value.is_empty() => issues.error(path, "REMOVE takes no value"),
            TagOperation::Upsert | TagOperation::Remove => {}
        }
    }
}

#[cfg(test)]
mod tests;
