//! The injector's own settings: who is injected, and by which templates (`istio: pkg/kube/inject/inject.go`, Config).

use std::collections::BTreeMap;

use api::mesh::LabelSelector;
use api::yaml;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Values;
use crate::error::Error;
use crate::template::Template;

/// Whether pods that say nothing are injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// They are.
    #[default]
    Enabled,
    /// They are not.
    Disabled,
}

/// Settings of the injector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Injector {
    #[serde(deserialize_with = "or_default")]
    pub(crate) policy: Policy,
    /// For pods that name none; `sidecar` when empty.
    #[serde(deserialize_with = "or_default")]
    default_templates: Vec<String>,
    /// By name. Those with the names of built-in ones replace them.
    #[serde(deserialize_with = "templates")]
    pub(crate) templates: BTreeMap<String, Template>,
    /// Several templates under one name.
    #[serde(deserialize_with = "or_default")]
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) never_inject_selector: Vec<LabelSelector>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) always_inject_selector: Vec<LabelSelector>,
    /// Annotations of every injected pod.
    #[serde(deserialize_with = "or_default")]
    pub(crate) injected_annotations: BTreeMap<String, String>,
}

/// Fields of the ConfigMap; `template` is a trap for old control planes and says nothing.
const FIELDS: &[&str] = &[
    "policy",
    "defaultTemplates",
    "templates",
    "template",
    "aliases",
    "neverInjectSelector",
    "alwaysInjectSelector",
    "injectedAnnotations",
];
const WHAT: &str = "injector settings";

impl Injector {
    /// Reads the text of ConfigMap `istio-sidecar-injector`, key `config`; or, as istioctl does, a text that is the template `sidecar`.
    ///
    /// # Errors
    /// What cannot be read, with its path.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let document = yaml::documents(text, None).ok().and_then(|documents| documents.into_iter().next());
        let Some(value) = document.map(|document| document.value).filter(is_settings) else {
            return Self::from_value(&json!({"templates": {"sidecar": text}}));
        };
        Self::from_value(&value)
    }

    /// Reads settings.
    pub(crate) fn from_value(value: &Value) -> Result<Self, Error> {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        let read = Self::deserialize(tracked);
        read.map_err(|error| Error::settings(WHAT, track.path().to_string(), error.to_string()))
    }

    /// Settings as the chart makes them of its values.
    ///
    /// # Errors
    /// What cannot be read, with its path.
    pub fn from_values(values: &Values) -> Result<Self, Error> {
        let webhook = &values.whole()["sidecarInjectorWebhook"];
        let mut settings = webhook.as_object().cloned().unwrap_or_default();
        settings.insert("policy".to_owned(), values.whole()["global"]["proxy"]["autoInject"].clone());
        Self::from_value(&Value::Object(settings))
    }

    /// Names of templates for pods that name none.
    pub(crate) fn defaults(&self) -> Vec<String> {
        if self.default_templates.is_empty() { vec!["sidecar".to_owned()] } else { self.default_templates.clone() }
    }
}

/// Texts by name, read as templates: one that cannot be read is told before a pod needs it.
fn templates<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Template>, D::Error> {
    let texts: BTreeMap<String, String> = or_default(from)?;
    let read = texts.into_iter().map(|(name, text)| {
        let template = Template::parse(&name, &text).map_err(serde::de::Error::custom)?;
        Ok((name, template))
    });
    read.collect()
}

/// Whether a document is settings and not a pod.
fn is_settings(value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty() && map.keys().all(|key| FIELDS.contains(&key.as_str())))
}

/// What charts leave empty is null.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
