//! What replicas tell each other of the authority: each by a Lease of its own, which also says that it is there.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::{Cluster, MANAGER};

/// Marks their Leases.
const MARK: &str = "meltemi.io/replica";
/// Annotations of a Lease.
const SIGNER: &str = "meltemi.io/signer";
const TOLD: &str = "meltemi.io/roots";
const KNOWN: &str = "meltemi.io/roots-known";
const DEADLINE: &str = "meltemi.io/roots-deadline";
const LAST: &str = "meltemi.io/last";
const FORMER: &str = "meltemi.io/former";
/// How long a replica counts that is silent, in seconds: a proxy that is connected to one without the API server knows only old roots.
pub const SILENT: u64 = 300;

/// What a replica says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// By which root it signs: a digest.
    pub signer: String,
    /// The roots that it makes known: a digest.
    pub told: String,
    /// All its proxies have them.
    pub known: bool,
    /// When what it had signed before it made them known has ended, in Unix time.
    pub deadline: i64,
    /// When the last ends of what it has signed, in Unix time.
    pub last: i64,
    /// When the last ends of what it has signed by former authorities; 0 without any.
    pub former: i64,
}

/// A replica that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// What it said.
    pub report: Report,
    /// When, by its own clock; only whether it is another than before says something.
    pub renewed: Option<MicroTime>,
}

fn named(name: &str) -> String {
    format!("meltemi-replica-{name}")
}

/// Says it.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn tell(cluster: &Cluster, namespace: &str, name: &str, report: &Report) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), namespace);
    let annotations = json!({
        SIGNER: report.signer, TOLD: report.told, KNOWN: report.known.to_string(), DEADLINE: report.deadline.to_string(),
        LAST: report.last.to_string(), FORMER: report.former.to_string(),
    });
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": named(name), "labels": { MARK: "" }, "annotations": annotations },
        "spec": { "holderIdentity": name, "leaseDurationSeconds": SILENT, "renewTime": MicroTime(Timestamp::now()) },
    });
    leases.patch(&named(name), &PatchParams::apply(MANAGER).force(), &Patch::Apply(lease)).await?;
    Ok(())
}

/// What the others said.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn others(cluster: &Cluster, namespace: &str, name: &str) -> kube::Result<Vec<Replica>> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), namespace);
    let all = leases.list(&ListParams::default().labels(MARK)).await?;
    Ok(all.into_iter().map(replica).filter(|replica| replica.name != name).collect())
}

fn replica(lease: Lease) -> Replica {
    let empty = BTreeMap::new();
    let annotations = lease.metadata.annotations.as_ref().unwrap_or(&empty);
    let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
    let number = |key: &str| text(key).parse().unwrap_or(0);
    let report = Report {
        signer: text(SIGNER),
        told: text(TOLD),
        known: text(KNOWN) == "true",
        deadline: number(DEADLINE),
        last: number(LAST),
        former: number(FORMER),
    };
    let name = lease.name_any();
    let name = name.strip_prefix("meltemi-replica-").unwrap_or(&name).to_owned();
    Replica { name, report, renewed: lease.spec.and_then(|spec| spec.renew_time) }
}

/// Takes back what a replica said that is no more.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn forget(cluster: &Cluster, namespace: &str, name: &str) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), namespace);
    match leases.delete(&named(name), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(|_| ()),
    }
}
