//! Pods get their proxies: what the mesh, the injector's settings and the cluster say, handed to `inject`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use api::{ConfigMap, KubeNamespace, Node, ProxyConfig};
use inject::{Inputs, NativeSidecars, ProxyConfigResource};
use model::{Id, Mesh, Objects, Row};
use names::Name;
use serde_json::{Value, json};

use super::review::{Request, Verdict};

/// OpenShift gives each namespace its users.
const OPENSHIFT: &str = "openshift.io/sa.scc.uid-range";

/// Counts since the start, under the names of Istio's injector.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) injected: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) failed: AtomicU64,
}

type Map = Arc<Row<ConfigMap>>;

/// Settings, and the ConfigMaps that they were read from: the mesh's, if there is one, and the injector's.
struct Read {
    from: (Option<Map>, Map),
    settings: Arc<inject::Settings>,
}

/// The injector.
pub(crate) struct Injector {
    pub(crate) counts: Counts,
    /// When proxies are init containers that stay.
    native: NativeSidecars,
    /// What was read last: it changes seldom.
    read: Mutex<Option<Read>>,
}

impl Injector {
    pub(crate) fn new(native: NativeSidecars) -> Self {
        Self { counts: Counts::default(), native, read: Mutex::default() }
    }

    /// Judges the pod of a request that came by a path.
    pub(super) fn judge(&self, request: &Request, mesh: &Mesh, path: &str) -> Verdict {
        let count = |counter: &AtomicU64| _ = counter.fetch_add(1, Ordering::Relaxed);
        count(&self.counts.requests);
        if request.operation != "CREATE" || !request.object.is_object() {
            count(&self.counts.skipped);
            return Verdict::default();
        }
        match self.injected(request, mesh, path) {
            Ok(Some(verdict)) => {
                count(&self.counts.injected);
                verdict
            }
            Ok(None) => {
                count(&self.counts.skipped);
                Verdict::default()
            }
            Err(why) => {
                count(&self.counts.failed);
                Verdict { refused: Some(why), ..Verdict::default() }
            }
        }
    }

    fn injected(&self, request: &Request, mesh: &Mesh, path: &str) -> Result<Option<Verdict>, String> {
        let settings = self.settings(mesh)?;
        let pod = &request.object;
        let decision = inject::decide(pod, &request.namespace, &settings);
        if !decision.inject {
            tracing::debug!(namespace = request.namespace, reason = decision.reason.word(), "a pod is not injected");
            return Ok(None);
        }
        let injected = made(pod, &request.namespace, mesh, (path, self.native), &settings)?;
        let patch = serde_json::to_value(inject::patch(pod, &injected.pod)).map_err(|error| error.to_string())?;
        let warnings = injected.warnings.into_iter().chain(decision.ignored).collect();
        Ok(Some(Verdict { refused: None, warnings, patch: Some(patch) }))
    }

    /// Each template by its name: those of users as they are written, ours by what they make of a pod with one container.
    pub(crate) fn templates(&self, mesh: &Mesh) -> Result<BTreeMap<String, String>, String> {
        let settings = self.settings(mesh)?;
        let shown = inject::templates(&settings).into_iter().map(|(name, text)| {
            let shown = match text {
                Some(text) => text.to_owned(),
                None => example(name, mesh, self.native, &settings).unwrap_or_else(|why| format!("{OURS}# {why}\n")),
            };
            (name.to_owned(), shown)
        });
        Ok(shown.collect())
    }

    /// The values that templates see.
    pub(crate) fn values(&self, mesh: &Mesh) -> Result<Value, String> {
        Ok(self.settings(mesh)?.values.whole().clone())
    }

    /// The settings as they are now, read again only when their ConfigMaps are others.
    fn settings(&self, mesh: &Mesh) -> Result<Arc<inject::Settings>, String> {
        let base = mesh.base();
        let map = |name: Name| {
            let id = Id { cluster: base.cluster.clone(), namespace: base.root_namespace.clone(), name };
            mesh.db().input::<Objects<ConfigMap>>(&id)
        };
        let revision = if base.revision == "default" { "" } else { base.revision.as_str() };
        let name = match revision {
            "" => Name::from("istio-sidecar-injector"),
            revision => Name::from(format!("istio-sidecar-injector-{revision}")),
        };
        let of_injector =
            map(name.clone()).ok_or_else(|| format!("there is no ConfigMap {}/{name}", base.root_namespace))?;
        let from = (map(base.config_map.clone()), of_injector);
        let mut read = self.read.lock().map_err(|_| "an earlier pod left this broken".to_owned())?;
        let same = |known: &(Option<Map>, Map)| {
            let meshes = match (&known.0, &from.0) {
                (Some(known), Some(now)) => Arc::ptr_eq(known, now),
                (None, None) => true,
                _ => false,
            };
            meshes && Arc::ptr_eq(&known.1, &from.1)
        };
        if let Some(known) = read.as_ref().filter(|known| same(&known.from)) {
            return Ok(known.settings.clone());
        }
        let settings = Arc::new(settings(&from, revision).map_err(|error| error.to_string())?);
        *read = Some(Read { from, settings: settings.clone() });
        Ok(settings)
    }
}

/// What stands before a template that is no text.
const OURS: &str = "# built in, not a text; of a pod with one container it makes:\n";

/// What one of our templates makes of a pod with one container.
fn example(name: &str, mesh: &Mesh, native: NativeSidecars, settings: &inject::Settings) -> Result<String, String> {
    let pod = json!({
        "metadata": { "name": "example", "annotations": { "inject.istio.io/templates": name } },
        "spec": { "containers": [{ "name": "app", "image": "app" }] },
    });
    let pod = made(&pod, "default", mesh, ("/inject", native), settings)?.pod;
    Ok(format!("{OURS}{}", inject::yaml(&pod).unwrap_or_else(|| format!("{pod:#}\n"))))
}

/// A pod of a namespace with what its templates add, asked for by a path.
fn made(
    pod: &Value,
    namespace: &str,
    mesh: &Mesh,
    (path, native): (&str, NativeSidecars),
    settings: &inject::Settings,
) -> Result<inject::Injected, String> {
    let db = mesh.db();
    let nodes: Vec<(Name, Name)> = db
        .inputs::<Objects<Node>>()
        .map(|(id, row)| (id.name.clone(), row.spec.status.node_info.kubelet_version.clone()))
        .collect();
    let versions = nodes.iter().map(|(name, version)| (name.as_str(), version.as_str()));
    let native = inject::native_sidecars(native, pod["spec"]["nodeName"].as_str(), versions);
    let root = &mesh.base().root_namespace;
    let ours = |id: &Id| id.namespace.as_str() == namespace || id.namespace == *root;
    let mut configs: Vec<_> = db.inputs::<Objects<ProxyConfig>>().filter(|(id, _)| ours(id)).collect();
    configs.sort_by_key(|(_, row)| row.age());
    let configs: Vec<ProxyConfigResource<'_>> = configs
        .iter()
        .map(|(id, row)| ProxyConfigResource { namespace: id.namespace.as_str(), spec: &row.spec })
        .collect();
    let openshift = Some(annotations(mesh, namespace)).filter(|found| found.contains_key(OPENSHIFT));
    let inputs = Inputs {
        settings,
        namespace,
        workload: None,
        native_sidecars: native,
        proxy_configs: &configs,
        environment: &inject::path_environment(path),
        openshift: openshift.as_ref(),
    };
    inject::inject(pod, &inputs).map_err(|error| error.to_string())
}

fn settings((of_mesh, of_injector): &(Option<Map>, Map), revision: &str) -> Result<inject::Settings, inject::Error> {
    let text = |map: &Row<ConfigMap>, key: &str| map.spec.data.get(key).map(ToString::to_string).unwrap_or_default();
    let mesh = of_mesh.as_ref().map(|map| inject::Mesh::from_yaml(&text(map, "mesh"))).transpose()?;
    Ok(inject::Settings {
        mesh: mesh.unwrap_or_default(),
        values: inject::Values::from_yaml(&text(of_injector, "values"))?.of_revision(revision),
        injector: inject::Injector::from_yaml(&text(of_injector, "config"))?,
        revision: revision.to_owned(),
        // Templates are users'; this process's variables are not theirs to read.
        environment: BTreeMap::new(),
        compliance_policy: String::new(),
    })
}

/// The annotations of a namespace.
fn annotations(mesh: &Mesh, namespace: &str) -> BTreeMap<String, String> {
    let id = Id { cluster: mesh.base().cluster.clone(), namespace: Name::default(), name: Name::from(namespace) };
    let found = mesh.db().input::<Objects<KubeNamespace>>(&id);
    let annotations = found.iter().flat_map(|row| row.meta.annotations.iter());
    annotations.map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
