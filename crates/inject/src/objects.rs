//! Objects that make pods: where the pod is in them, and what they are called in the pod's metadata.

use api::yaml::Document;
use serde_json::{Value, json};

use crate::decide::{Decision, decide};
use crate::error::Error;
use crate::injection::{Injected, Inputs, inject};
use crate::workload::Workload;

/// What became of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which pod: path in the object (`spec.template`, or empty for a pod; behind `items[N]` in a list).
    pub path: String,
    /// Whose it is: kind and name, with the namespace if there is one.
    pub whose: String,
    /// Whether it was injected, and why.
    pub decision: Decision,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Why an object is not injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which pod, as in [`Outcome`]; empty when the object around it is wrong.
    pub path: String,
    /// Whose it is.
    pub whose: String,
    /// What is wrong, with paths in the pod.
    pub error: Error,
}

/// Kinds that make pods, by group, and where in them the pod is.
const KINDS: [(&str, &str, &str); 13] = [
    ("", "Pod", ""),
    ("", "ReplicationController", "/spec/template"),
    ("apps", "Deployment", "/spec/template"),
    ("apps", "DaemonSet", "/spec/template"),
    ("apps", "ReplicaSet", "/spec/template"),
    ("apps", "StatefulSet", "/spec/template"),
    ("batch", "Job", "/spec/template"),
    // Not the metadata of the Job, as istioctl has it: labels and annotations are the pod's.
    ("batch", "CronJob", "/spec/jobTemplate/spec/template"),
    ("apps.openshift.io", "DeploymentConfig", "/spec/template"),
    // Older names of the same.
    ("", "DeploymentConfig", "/spec/template"),
    ("extensions", "Deployment", "/spec/template"),
    ("extensions", "DaemonSet", "/spec/template"),
    ("extensions", "ReplicaSet", "/spec/template"),
];

/// Injects the pod of an object, or the pods of the objects in a list. Other objects stay as they are, and give no outcome. Of `inputs`,
/// namespace and workload are those for objects that name none.
///
/// # Errors
/// What is wrong, for each pod that cannot be injected.
pub fn inject_object(object: &mut Value, inputs: &Inputs<'_>) -> (Vec<Outcome>, Vec<Refused>) {
    let (mut outcomes, mut refused) = (Vec::new(), Vec::new());
    if object["kind"] == "List" && object["items"].is_array() {
        for (at, item) in object["items"].as_array_mut().into_iter().flatten().enumerate() {
            let (done, wrong) = inject_object(item, inputs);
            let within = |path: &str| join(&format!("items[{at}]"), path);
            outcomes.extend(done.into_iter().map(|each| Outcome { path: within(&each.path), ..each }));
            refused.extend(wrong.into_iter().map(|each| Refused { path: within(&each.path), ..each }));
        }
        return (outcomes, refused);
    }
    let Some(pointer) = pod_in(object) else { return (outcomes, refused) };
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let whose = whose(object);
    let unnamed = ["name", "namespace"].into_iter().find(|key| {
        let said = &object["metadata"][*key];
        !said.is_null() && !said.is_string()
    });
    if let Some(key) = unnamed {
        let message = format!("a string is needed, not {}; quotes make it one", object["metadata"][key]);
        refused.push(Refused { path: String::new(), whose, error: Error::pod(format!("metadata.{key}"), message) });
        return (outcomes, refused);
    }
    match one(object, pointer, inputs) {
        Ok((decision, warnings)) => outcomes.push(Outcome { path, whose, decision, warnings }),
        Err(error) => refused.push(Refused { path, whose, error }),
    }
    (outcomes, refused)
}

/// Two paths as one.
fn join(prefix: &str, path: &str) -> String {
    if path.is_empty() { prefix.to_owned() } else { format!("{prefix}.{path}") }
}

/// Where the pod of an object is, if it makes pods.
fn pod_in(object: &Value) -> Option<&'static str> {
    let version = object["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    KINDS.iter().find(|(of, kind, _)| *of == group && object["kind"] == *kind).map(|(.., pointer)| *pointer)
}

fn whose(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    let name = if name.is_empty() { text(&object["metadata"]["generateName"]) } else { name };
    match text(&object["metadata"]["namespace"]).as_str() {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

fn one(object: &mut Value, pointer: &str, inputs: &Inputs<'_>) -> Result<(Decision, Vec<String>), Error> {
    let own = object["metadata"]["namespace"].as_str().filter(|namespace| !namespace.is_empty()).map(str::to_owned);
    let namespace = own.unwrap_or_else(|| inputs.namespace.to_owned());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let workload = (!pointer.is_empty()).then(|| Workload {
        name: text(&object["metadata"]["name"]),
        namespace: namespace.clone(),
        api_version: text(&object["apiVersion"]),
        kind: text(&object["kind"]),
    });
    let Some(pod) = object.pointer_mut(pointer) else { return Err(Error::pod("spec", "a pod needs a spec")) };
    let decision = decide(pod, &namespace, inputs.settings);
    let mut warnings: Vec<String> = decision.ignored.iter().cloned().collect();
    if !decision.inject {
        return Ok((decision, warnings));
    }
    let inputs = Inputs { namespace: &namespace, workload: workload.as_ref(), ..*inputs };
    let Injected { pod: injected, warnings: more } = inject(pod, &inputs)?;
    warnings.extend(more);
    *pod = injected;
    Ok((decision, warnings))
}

/// An object as YAML, laid out as kubectl does; none where it has characters that YAML cannot have.
#[must_use]
pub fn yaml(object: &Value) -> Option<String> {
    crate::template::yaml::written(object)
}

/// Nodes among objects: names and kubelet versions, for [`crate::native_sidecars`].
#[must_use]
pub fn nodes(documents: &[Document]) -> Vec<(String, String)> {
    let items = |value: &Value| value["items"].as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let all = documents.iter().flat_map(|document| items(&document.value));
    let nodes = all.filter(|object| object["kind"] == "Node" && object["apiVersion"] == json!("v1"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    nodes.map(|node| (text(&node["metadata"]["name"]), text(&node["status"]["nodeInfo"]["kubeletVersion"]))).collect()
}

#[cfg(test)]
mod tests;
