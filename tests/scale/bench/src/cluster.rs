//! A mesh on a Kubernetes API server, and edits of it. What the API server or its controllers would make is not left to them, so that the same
//! objects are there as in a directory: endpoints are written as they are, and pods get their status.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::edits::Change;
use crate::mesh::Mesh;

/// Requests to the API server at a time.
const AT_ONCE: usize = 48;
/// Who writes, as the API server is told.
const WRITER: &str = "meshgen";
/// A namespace has its account by then, without which it takes no pods.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server.
pub struct Cluster {
    runtime: Runtime,
    client: kube::Client,
}

impl Cluster {
    /// The one that a kubeconfig names. The definitions of Istio's kinds must be there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn connect(kubeconfig: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let config = kube::config::Kubeconfig::read_from(kubeconfig)?;
            let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await?;
            anyhow::Ok(kube::Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Applies all objects of a mesh, many at a time; says how many there are.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub fn fill(&self, mesh: &Mesh) -> anyhow::Result<usize> {
        let (first, rest): (Vec<Value>, Vec<Value>) =
            mesh.files().flat_map(|file| file.objects).partition(|object| object["kind"] == "Namespace");
        let count = first.len() + rest.len();
        self.runtime.block_on(async {
            self.all(first).await?;
            self.all(rest).await
        })?;
        Ok(count)
    }

    /// Carries an edit out. It is done when this returns: the API server has answered.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn apply(&self, change: &Change) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            match change {
                Change::Put(file) => {
                    for object in &file.objects {
                        put(&self.client, object.clone()).await?;
                    }
                }
                Change::Remove(file) => {
                    for object in &file.objects {
                        let name = object["metadata"]["name"].as_str().unwrap_or_default();
                        place(&self.client, object)?
                            .delete(name, &DeleteParams::default())
                            .await
                            .context(name.to_owned())?;
                    }
                }
            }
            Ok(())
        })
    }

    async fn all(&self, objects: Vec<Value>) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for object in objects {
            if running.len() >= AT_ONCE {
                running.join_next().await.context("a request")???;
            }
            let client = self.client.clone();
            running.spawn(async move { put(&client, object).await });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Applies an object, and its status where it has one.
async fn put(client: &kube::Client, mut object: Value) -> anyhow::Result<()> {
    let api = place(client, &object)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let spec = object.get_mut("spec").and_then(Value::as_object_mut);
    if let Some(spec) = spec.filter(|spec| spec.contains_key("clusterIP")) {
        // Addresses of services are the API server's to give; a service that selects pods would be given endpoints.
        spec.remove("clusterIP");
        spec.remove("selector");
    }
    let status = object.as_object_mut().and_then(|object| object.remove("status"));
    let (apply, deadline) = (PatchParams::apply(WRITER).force(), Instant::now() + PATIENCE);
    loop {
        match api.patch(&name, &apply, &Patch::Apply(&object)).await {
            Ok(_) => break,
            // A namespace takes no pods before it has its account.
            Err(kube::Error::Api(refused))
                if refused.code == 403 && object["kind"] == "Pod" && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error).context(name),
        }
    }
    if let Some(status) = status {
        let status = Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &PatchParams::default(), &status).await.context(name)?;
    }
    Ok(())
}

/// Where an object is kept.
fn place(client: &kube::Client, object: &Value) -> anyhow::Result<Api<DynamicObject>> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let (version, kind) = version.zip(kind).context("an object has a version and a kind")?;
    let (group, number) = version.split_once('/').unwrap_or(("", version));
    let lower = kind.to_lowercase();
    let plural = match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ => format!("{lower}s"),
    };
    let (group, number, version) = (group.to_owned(), number.to_owned(), version.to_owned());
    let resource = ApiResource { group, version: number, api_version: version, kind: kind.to_owned(), plural };
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}
