//! What a pod belongs to: the name in its telemetry and its metadata (`istio: pkg/kube/util.go`, GetDeployMetaFromPod).

use serde_json::Value;

use crate::pod::{self, Strings};

/// The object that made a pod, as far as its pod tells; the pod itself if it was made alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Its name; empty when a pod has none yet.
    pub name: String,
    /// Its namespace; empty when nobody says one.
    pub namespace: String,
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
}

impl Workload {
    /// Of a pod that the API server shows.
    #[must_use]
    pub fn of_pod(pod: &Value, namespace: &str) -> Self {
        let metadata = &pod["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alone = Self {
            name: text(&metadata["name"]),
            namespace: namespace.to_owned(),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
        };
        let generated = !text(&metadata["generateName"]).is_empty();
        let owners = pod::items(&metadata["ownerReferences"]);
        let Some(owner) = owners.iter().find(|owner| generated && owner["controller"] == true) else { return alone };
        let (name, kind) = (text(&owner["name"]), text(&owner["kind"]));
        let (api_version, labels) = (text(&owner["apiVersion"]), pod::strings(pod, "labels"));
        maker(&kind, &name, &labels)
            .map(|(kind, name, version)| Self {
                name,
                kind: kind.to_owned(),
                api_version: version.map_or(api_version.clone(), str::to_owned),
                ..alone.clone()
            })
            .unwrap_or(Self { name, kind, api_version, ..alone })
    }

    /// Where the workload is in the API, for `ISTIO_META_OWNER`.
    pub(crate) fn owner(&self) -> Option<String> {
        let namespace = if self.namespace.is_empty() { "default" } else { &self.namespace };
        let kind = self.kind.to_lowercase();
        let known = !self.api_version.is_empty() && !self.name.is_empty();
        known.then(|| format!("kubernetes://apis/{}/namespaces/{namespace}/{kind}s/{}", self.api_version, self.name))
    }
}

/// Who stands behind a pod's owner: kind, name, and the version where the owner's does not tell it.
fn maker(kind: &str, owner: &str, labels: &Strings) -> Option<(&'static str, String, Option<&'static str>)> {
    let stem = |label: &str| {
        let hash = labels.get(label).filter(|hash| !hash.is_empty())?;
        let whole = owner.strip_suffix(hash.as_str())?;
        Some(whole.strip_suffix('-').unwrap_or(owner).to_owned())
    };
    match kind {
        "ReplicaSet" => stem("pod-template-hash")
            .map(|name| ("Deployment", name, None))
            .or_else(|| Some(("Rollout", stem("rollouts-pod-template-hash")?, Some("v1alpha1")))),
        "ReplicationController" => {
            let name = labels.get("deploymentconfig").filter(|name| !name.is_empty())?;
            Some(("DeploymentConfig", name.clone(), None))
        }
        // The minutes since 1970 at which a CronJob started it.
        "Job" => {
            let (name, minutes) = owner.rsplit_once('-')?;
            let timed = (8..=10).contains(&minutes.len()) && minutes.bytes().all(|byte| byte.is_ascii_digit());
            (timed && !name.is_empty()).then(|| ("CronJob", name.to_owned(), Some("batch/v1")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made_by(api_version: &str, kind: &str, name: &str, labels: Value) -> (String, String, String) {
        let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "controller": true});
        let pod = json!({"metadata": {"generateName": "x-", "labels": labels, "ownerReferences": [owner]}});
        let Workload { name, kind, api_version, .. } = Workload::of_pod(&pod, "shop");
        (kind, name, api_version)
    }

    fn want(kind: &str, name: &str, version: &str) -> (String, String, String) {
        (kind.to_owned(), name.to_owned(), version.to_owned())
    }

    #[test]
    fn the_maker_of_the_owner_is_named() {
        let hash = json!({"pod-template-hash": "6b7f"});
        assert_eq!(made_by("apps/v1", "ReplicaSet", "web-6b7f", hash), want("Deployment", "web", "apps/v1"));
        assert_eq!(made_by("apps/v1", "ReplicaSet", "web", json!({})), want("ReplicaSet", "web", "apps/v1"));
        let rollout = json!({"rollouts-pod-template-hash": "6b7f"});
        assert_eq!(
            made_by("argoproj.io/v1alpha1", "ReplicaSet", "web-6b7f", rollout),
            want("Rollout", "web", "v1alpha1")
        );
        assert_eq!(made_by("batch/v1", "Job", "nightly-28301234", json!({})), want("CronJob", "nightly", "batch/v1"));
        assert_eq!(made_by("batch/v1", "Job", "once-12", json!({})), want("Job", "once-12", "batch/v1"));
        let config = json!({"deploymentconfig": "dc"});
        assert_eq!(made_by("v1", "ReplicationController", "dc-1", config), want("DeploymentConfig", "dc", "v1"));
        assert_eq!(made_by("apps/v1", "StatefulSet", "db", json!({})), want("StatefulSet", "db", "apps/v1"));
    }

    #[test]
    fn a_pod_alone_is_its_own_workload() {
        let pod =
            json!({"metadata": {"name": "p", "ownerReferences": [{"kind": "Node", "name": "n", "controller": true}]}});
        let workload = Workload::of_pod(&pod, "");
        assert_eq!(workload.owner().as_deref(), Some("kubernetes://apis/v1/namespaces/default/pods/p"));
        assert_eq!(Workload::of_pod(&json!({}), "shop").owner(), None);
    }
}
