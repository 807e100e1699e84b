//! Settings of an installation, under the paths that Istio's charts give them (`istio: manifests/charts`). A path that is not known is a
//! mistake, never ignored.

use serde_json::{Map, Value, json};

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not `path=value`.
    #[error("{0:?} is not path=value")]
    NotAssigned(String),
    /// Nobody reads that path.
    #[error("there is no setting {path}{}", near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// As given.
        path: String,
        /// The nearest one that there is.
        near: Option<String>,
    },
    /// A value of another type is needed.
    #[error("{path}: {wanted} is needed, not {found}")]
    Type {
        /// Where.
        path: String,
        /// What would do.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// There is no such profile.
    #[error("there is no profile {0:?}; there are default, minimal and empty")]
    Profile(String),
    /// Something cannot be written as YAML.
    #[error("an object cannot be written: {0}")]
    Unwritable(String),
}

/// What a setting holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Number,
    Switch,
    List,
    /// A mapping of anything: what is in it is for others to judge.
    Tree,
}

use Form::{List, Number, Switch, Text, Tree};

/// Every setting, with its form.
const SETTINGS: [(&str, Form); 34] = [
    ("revision", Text),
    ("meshConfig", Tree),
    ("global.istioNamespace", Text),
    ("global.hub", Text),
    ("global.tag", Text),
    ("global.imagePullPolicy", Text),
    ("global.imagePullSecrets", List),
    ("global.logging.level", Text),
    ("global.meshID", Text),
    ("global.network", Text),
    ("global.multiCluster.clusterName", Text),
    ("global.platform", Text),
    ("global.priorityClassName", Text),
    ("global.configValidation", Switch),
    ("global.proxy", Tree),
    ("global.proxy_init", Tree),
    ("global.sds", Tree),
    ("pilot.replicaCount", Number),
    ("pilot.image", Text),
    ("pilot.resources", Tree),
    ("pilot.env", Tree),
    ("pilot.nodeSelector", Tree),
    ("pilot.tolerations", List),
    ("pilot.affinity", Tree),
    ("pilot.podAnnotations", Tree),
    ("pilot.podLabels", Tree),
    ("pilot.cni", Tree),
    ("sidecarInjectorWebhook", Tree),
    ("gateways.istio-ingressgateway.enabled", Switch),
    ("gateways.istio-ingressgateway.type", Text),
    ("gateways.istio-ingressgateway.replicaCount", Number),
    ("gateways.istio-ingressgateway.ports", List),
    ("gateways.istio-ingressgateway.resources", Tree),
    ("gateways.istio-ingressgateway.serviceAnnotations", Tree),
];

/// The settings of an installation.
#[derive(Clone, Debug)]
pub struct Values(Value);

impl Values {
    /// A profile's: `default`, `minimal` (no gateways) or `empty` (as minimal, for adding to).
    ///
    /// # Errors
    /// When there is no such profile.
    pub fn profile(name: &str) -> Result<Self, Error> {
        let ingress = match name {
            "default" => true,
            "minimal" | "empty" => false,
            other => return Err(Error::Profile(other.to_owned())),
        };
        Ok(Self(json!({
            "revision": "",
            "meshConfig": {},
            "global": {
                "istioNamespace": "istio-system",
                "hub": "localhost/meltemi",
                "tag": env!("CARGO_PKG_VERSION"),
                "logging": { "level": "info" },
                "multiCluster": { "clusterName": "Kubernetes" },
                "configValidation": true,
            },
            "pilot": {
                "replicaCount": 2,
                "image": "meltemid",
                // Measured: 57 MB with 1,000 services and 10,000 pods, 127 with 1,000 proxies of which each sees a part of it.
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
            },
            "gateways": {
                "istio-ingressgateway": {
                    "enabled": ingress,
                    "type": "LoadBalancer",
                    "replicaCount": 1,
                    "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "cpu": "2", "memory": "1Gi" } },
                    "ports": [
                        { "name": "status-port", "port": 15021, "targetPort": 15021 },
                        { "name": "http2", "port": 80, "targetPort": 8080 },
                        { "name": "https", "port": 443, "targetPort": 8443 },
                    ],
                },
            },
        })))
    }

    /// Sets `path=value`, as Helm's `--set`: numbers, true and false and null are what they look like, `{a,b}` is a list, `\.` is a dot that
    /// does not part.
    ///
    /// # Errors
    /// When there is no such setting, or it holds something else.
    pub fn set(&mut self, assignment: &str) -> Result<(), Error> {
        let (path, value) = assignment.split_once('=').ok_or_else(|| Error::NotAssigned(assignment.to_owned()))?;
        self.put(&segments(path), scalar(value))
    }

    /// Puts a tree of settings over these.
    ///
    /// # Errors
    /// As [`Values::set`].
    pub fn merge(&mut self, tree: &Value) -> Result<(), Error> {
        let mut leaves = Vec::new();
        gather(tree, &mut Vec::new(), &mut leaves);
        leaves.into_iter().try_for_each(|(path, value)| self.put(&path, value))
    }

    fn put(&mut self, path: &[String], value: Value) -> Result<(), Error> {
        let shown = path.join(".");
        let of = |known: &str| shown == known || shown.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
        let Some((known, form)) = SETTINGS.iter().find(|(known, form)| shown == *known || *form == Tree && of(known))
        else {
            return Err(Error::Unknown { near: nearest(&shown), path: shown });
        };
        if shown == *known {
            form.check(&shown, &value)?;
        }
        let mut at = &mut self.0;
        for segment in path {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = at.as_object_mut().expect("it was made one").entry(segment.clone()).or_insert(Value::Null);
        }
        *at = value;
        Ok(())
    }

    /// All of them: what injection is told.
    #[must_use]
    pub fn tree(&self) -> &Value {
        &self.0
    }

    /// The value at a path; null when there is none.
    pub(crate) fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.0, |value, segment| &value[segment])
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or_default()
    }

    /// A switch of the control plane, under istiod's name for it; `usual` when nothing is said.
    pub(crate) fn switched(&self, name: &str, usual: bool) -> bool {
        match &self.at("pilot.env")[name] {
            Value::Bool(on) => *on,
            Value::String(text) => text.eq_ignore_ascii_case("true") || text == "1",
            _ => usual,
        }
    }

    /// The namespace of the control plane.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("global.istioNamespace")
    }

    /// The revision; `default` when none is given.
    #[must_use]
    pub fn revision(&self) -> &str {
        match self.text("revision") {
            "" => "default",
            other => other,
        }
    }

    /// A name with the revision behind it, where there is one.
    #[must_use]
    pub fn named(&self, name: &str) -> String {
        match self.revision() {
            "default" => name.to_owned(),
            revision => format!("{name}-{revision}"),
        }
    }
}

impl Form {
    fn check(self, path: &str, value: &Value) -> Result<(), Error> {
        let (fits, wanted) = match self {
            Text => (value.is_string() || value.is_number(), "a text"),
            Number => (value.is_u64(), "a number"),
            Switch => (value.is_boolean(), "true or false"),
            List => (value.is_array(), "a list"),
            Tree => (value.is_object() || value.is_null(), "a mapping"),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Type { path: path.to_owned(), wanted, found: value.to_string() }),
        }
    }
}

/// The parts of a path.
fn segments(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        let last = parts.last_mut().expect("there is one");
        match character {
            '\\' => last.extend(characters.next()),
            '.' => parts.push(String::new()),
            other => last.push(other),
        }
    }
    parts
}

/// What a written value looks like.
fn scalar(written: &str) -> Value {
    if let Some(list) = written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return list.split(',').filter(|item| !item.is_empty()).map(|item| scalar(item.trim())).collect();
    }
    match written {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        // A leading zero is a text, as `0123` of a commit.
        number if !number.starts_with('0') || number == "0" => {
            number.parse::<i64>().map_or_else(|_| number.into(), Value::from)
        }
        text => text.into(),
    }
}

/// The leaves of a tree: settings as a whole, and what is in trees as it is.
fn gather(tree: &Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Value)>) {
    match tree {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push(key.clone());
                gather(value, path, leaves);
                path.pop();
            }
        }
        value => leaves.push((path.clone(), value.clone())),
    }
}

/// The setting that looks most like a path.
fn nearest(path: &str) -> Option<String> {
    let last = path.rsplit('.').next().unwrap_or(path).to_lowercase();
    let same = |known: &&str| known.rsplit('.').next().is_some_and(|name| name.to_lowercase() == last);
    SETTINGS.iter().map(|(known, _)| *known).find(same).map(str::to_owned)
}
