//! Templates of users: a text in the language of Go's `text/template` becomes a part of a pod. What they see is what istiod shows them
//! (`istio: pkg/kube/inject/inject.go`, SidecarTemplateData).

use api::yaml;
use serde_json::{Value, json};

use crate::builtin::Context;
use crate::error::Error;
use crate::template::{Options, Template};
use crate::{images, pod};

/// The part of a pod that a template gives.
pub(crate) fn part(name: &str, template: &Template, context: &Context<'_>) -> Result<Value, Error> {
    let wrong = |message: String| Error::Template { name: name.to_owned(), message };
    let environment = context.settings.environment.clone();
    let options = Options { environment, ..Options::default() };
    let rendered = template.render(&data(context), &options).map_err(|error| wrong(error.to_string()))?;
    let documents = yaml::documents(&rendered, None).map_err(|issue| {
        let place = issue.place.as_ref();
        let (line, snippet) = place.map_or((0, ""), |place| (place.line, place.snippet.as_str()));
        wrong(format!("line {line} of what it gives is {}\n{snippet}", issue.message))
    })?;
    match documents.into_iter().next().map(|document| document.value) {
        None => Ok(json!({})),
        Some(mut part @ Value::Object(_)) => {
            without_zeroes(&mut part);
            Ok(part)
        }
        Some(other) => Err(wrong(format!("it gives no part of a pod, but {other}"))),
    }
}

/// A delay of nothing is none: to Kubernetes both are one, and so a pod is the same whichever template wrote it.
fn without_zeroes(part: &mut Value) {
    for list in pod::LISTS {
        let containers = part.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let delay = container.pointer_mut(&format!("/{probe}/initialDelaySeconds"));
                delay.filter(|delay| **delay == 0).into_iter().for_each(|delay| *delay = Value::Null);
            }
        }
    }
}

/// What templates see.
fn data(context: &Context<'_>) -> Value {
    let workload = context.workload;
    let kind = context.proxy.get("image").and_then(|image| image["imageType"].as_str()).unwrap_or_default();
    let global = &context.values().global;
    let localhost = context.mesh().reaches_localhost();
    json!({
        "TypeMeta": {"apiVersion": workload.api_version, "kind": workload.kind},
        "DeploymentMeta": {"Name": workload.name, "Namespace": workload.namespace},
        "ObjectMeta": context.pod["metadata"],
        "Spec": context.pod["spec"],
        "ProxyConfig": context.proxy,
        "MeshConfig": context.mesh().whole(),
        "Values": context.values().whole(),
        "Revision": context.settings.revision,
        "NativeSidecars": context.native,
        "ProxyImage": images::composed(context.values(), &global.proxy.image, kind, &context.annotations),
        "ProxyInitImage": images::composed(context.values(), &global.proxy_init.image, "", &context.annotations),
        "ProxyUID": context.user,
        "ProxyGID": context.group,
        "InboundTrafficPolicyMode": if localhost { "localhost" } else { "passthrough" },
        "CompliancePolicy": context.settings.compliance_policy,
    })
}
