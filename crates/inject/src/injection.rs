//! From a pod to the pod with what its templates add, in the order of Istio's injector (`istio: pkg/kube/inject/webhook.go`, injectPod).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::annotations::{self, NETWORK, STATUS, STATUS_PORT, TEMPLATES};
use crate::builtin::{BUILT_IN, Context};
use crate::error::Error;
use crate::overrides::{self, Status};
use crate::pod::{self, Strings};
use crate::proxy::{self, ProxyConfigResource};
use crate::settings::Settings;
use crate::workload::Workload;
use crate::{custom, openshift, order, overlay, probes, prometheus};

/// What is known when a pod is injected, besides the pod.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Settings of the injector.
    pub settings: &'a Settings,
    /// Namespace of the pod.
    pub namespace: &'a str,
    /// What made the pod; the pod tells it, where this is none.
    pub workload: Option<&'a Workload>,
    /// Whether the nodes of the cluster know init containers that stay: [`crate::native_sidecars`].
    pub native_sidecars: bool,
    /// ProxyConfig resources, the oldest first.
    pub proxy_configs: &'a [ProxyConfigResource<'a>],
    /// Variables that the webhook's path asks for: [`crate::path_environment`].
    pub environment: &'a BTreeMap<String, String>,
    /// Annotations of the namespace on OpenShift, where they hold users and groups; none elsewhere.
    pub openshift: Option<&'a BTreeMap<String, String>>,
}

/// An injected pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// The pod, with everything that it had.
    pub pod: Value,
    /// What the user should know.
    pub warnings: Vec<String>,
}

const CLUSTER_VARIABLE: &str = "ISTIO_META_CLUSTER_ID";
const NETWORK_VARIABLE: &str = "ISTIO_META_NETWORK";

/// Injects a pod. An injected pod that is injected again stays the same.
///
/// # Errors
/// When the pod is none, its annotations say what cannot be done, or a template fails.
pub fn inject(pod: &Value, inputs: &Inputs<'_>) -> Result<Injected, Error> {
    pod::check(pod)?;
    let mut before = pod.clone();
    if inputs.openshift.is_some() {
        overrides::without_platform_user(&mut before);
    }
    let mut warnings = annotations::check(&pod::strings(pod, "annotations"))?;
    warnings.extend(unreachable(pod));
    let of_pod = Workload::of_pod(pod, inputs.namespace);
    let (facts, status_port) = facts(&before, inputs)?;
    let seen = overrides::stripped(&before, &status_port.to_string())?;
    let context = Context {
        settings: inputs.settings,
        pod: &seen,
        labels: pod::strings(&seen, "labels"),
        annotations: pod::strings(&seen, "annotations"),
        workload: inputs.workload.unwrap_or(&of_pod),
        ..facts
    };
    let (mut after, part) = templated(&before, &context)?;
    overrides::reapply(&mut after, &before, &part)?;
    overrides::follow_user(&mut after, &before, context.is_tproxy())?;
    name_cluster(&mut after, &context, inputs);
    prometheus::merge(&mut after, inputs.settings.mesh.merges_metrics(), status_port)?;
    prometheus::tell_secure_port(&mut after);
    let rewrites =
        after["metadata"]["annotations"][annotations::REWRITE_PROBES].as_str().and_then(annotations::boolean);
    if rewrites.unwrap_or(inputs.settings.values.sidecar_injector_webhook.rewrite_probes) {
        warnings.extend(probes::rewrite(&mut after, status_port, Status::of(&before).is_some()));
    }
    tell(&mut after, &part, &context);
    order::order(&mut after, context.holds());
    Ok(Injected { pod: after, warnings })
}

/// What of the context does not depend on an earlier injection, and the agent's port.
fn facts<'a>(before: &'a Value, inputs: &Inputs<'a>) -> Result<(Context<'a>, u16), Error> {
    let settings = inputs.settings;
    let (labels, annotations) = (pod::strings(before, "labels"), pod::strings(before, "annotations"));
    let about = proxy::Pod { namespace: inputs.namespace, labels: &labels, annotations: &annotations };
    let config = proxy::effective(&settings.mesh, inputs.proxy_configs, &about)?;
    // Istio tells Prometheus the mesh's port here even where the pod's agent listens elsewhere.
    let mesh = config.get("statusPort").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let own = annotations.get(STATUS_PORT).and_then(|port| port.trim().parse().ok());
    let status_port = own.or(mesh).unwrap_or(15020);
    let (user, group) = openshift::user_and_group(inputs.openshift);
    let global = &settings.values.global;
    let said = |variable: &str, values: &String| {
        let path = inputs.environment.get(variable).filter(|value| !value.is_empty());
        path.unwrap_or(values).clone()
    };
    let context = Context {
        settings,
        pod: before,
        cluster: said(CLUSTER_VARIABLE, &global.multi_cluster.cluster_name),
        network: labels.get(NETWORK).cloned().unwrap_or_else(|| said(NETWORK_VARIABLE, &global.network)),
        labels,
        annotations,
        workload: inputs.workload.unwrap_or(&NOBODY),
        proxy: config,
        native: inputs.native_sidecars,
        user,
        group,
    };
    Ok((context, status_port))
}

/// Stands in until the pod has been asked.
static NOBODY: Workload =
    Workload { name: String::new(), namespace: String::new(), api_version: String::new(), kind: String::new() };

/// All templates by name: the text of those that users wrote, none for those of this program.
#[must_use]
pub fn templates(settings: &Settings) -> BTreeMap<&str, Option<&str>> {
    let mut all: BTreeMap<&str, Option<&str>> = BUILT_IN.iter().map(|(name, _)| (*name, None)).collect();
    all.extend(settings.injector.templates.iter().map(|(name, template)| (name.as_str(), Some(template.text()))));
    all
}

/// The pod with all that its templates give, and what they give by itself.
fn templated(before: &Value, context: &Context<'_>) -> Result<(Value, Value), Error> {
    let (mut after, mut all) = (before.clone(), json!({}));
    for name in chosen(context) {
        let part = part(&name, context)?;
        let wrong = |message| Error::Template { name: name.clone(), message };
        overlay::lay(&mut all, &part).map_err(wrong)?;
        overrides::settle(&mut after, &all);
        overlay::lay(&mut after, &part).map_err(wrong)?;
    }
    Ok((after, all))
}

/// Names of the templates of a pod: of its annotation, else those for all. Some names stand for several.
fn chosen(context: &Context<'_>) -> Vec<String> {
    let injector = &context.settings.injector;
    let named = context.annotations.get(TEMPLATES);
    let named = named.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
    let names: Vec<String> = named.unwrap_or_else(|| injector.defaults());
    names.into_iter().flat_map(|name| injector.aliases.get(&name).cloned().unwrap_or_else(|| vec![name])).collect()
}

/// What a template gives: the user's of this name, else the one that this program has.
fn part(name: &str, context: &Context<'_>) -> Result<Value, Error> {
    let templates = &context.settings.injector.templates;
    if let Some(template) = templates.get(name) {
        return custom::part(name, template, context);
    }
    let Some((_, built_in)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
        let mut known: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        known.extend(templates.keys().cloned());
        known.sort();
        known.dedup();
        return Err(Error::NoTemplate { name: name.to_owned(), known });
    };
    let part = built_in.part(context);
    serde_json::to_value(part).map_err(|error| Error::Template { name: name.to_owned(), message: error.to_string() })
}

/// Cluster, network and what else the webhook's path says, whatever template the proxy is from.
fn name_cluster(after: &mut Value, context: &Context<'_>, inputs: &Inputs<'_>) {
    let mut variables = inputs.environment.clone();
    for (name, value) in [(CLUSTER_VARIABLE, &context.cluster), (NETWORK_VARIABLE, &context.network)] {
        if !value.is_empty() {
            variables.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(sidecar) = pod::sidecar_mut(after) {
        variables.iter().for_each(|(name, value)| pod::set_env(sidecar, name, value));
    }
    if !context.network.is_empty() {
        let labels = pod::object(after, &["metadata", "labels"]);
        labels.insert(NETWORK.to_owned(), json!(context.network));
    }
}

/// Tells what was added, so that it is known when the pod is injected again.
fn tell(after: &mut Value, part: &Value, context: &Context<'_>) {
    let status = Status::telling(part, context.revision());
    let text = serde_json::to_string(&status).unwrap_or_default();
    let map = pod::object(after, &["metadata", "annotations"]);
    map.insert(STATUS.to_owned(), Value::String(text));
    let more: &Strings = &context.settings.injector.injected_annotations;
    map.extend(more.iter().map(|(name, value)| (name.clone(), json!(value))));
}

/// A pod that does not ask the cluster's DNS may not find the control plane.
fn unreachable(pod: &Value) -> Option<String> {
    let policy = pod["spec"]["dnsPolicy"].as_str().filter(|policy| !["", "ClusterFirst"].contains(policy))?;
    Some(format!("spec.dnsPolicy: with {policy} the proxy may not find the control plane; ClusterFirst lets it"))
}

#[cfg(test)]
mod tests;
