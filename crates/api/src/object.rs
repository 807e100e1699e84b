//! What all objects have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use names::{Labels, Name, Namespace};
use serde_json::Value;

use crate::Kind;

/// What identifies an object among all kinds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Empty for kinds without namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.is_empty() {
            true => write!(f, "{} {}", self.kind, self.name),
            false => write!(f, "{} {}/{}", self.kind, self.namespace, self.name),
        }
    }
}

/// The metadata that meaning may depend on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ObjectMeta {
    /// The object's name.
    pub name: Name,
    /// Empty for kinds without namespace.
    pub namespace: Namespace,
    /// What tells it from others that had its name; empty in files.
    pub uid: Name,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: BTreeMap<Name, Name>,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
}

/// Where an object came from: shown when somebody asks, never part of what rows are compared by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The file, if it came from one.
    pub file: Option<Name>,
    /// First line of its document, from 1.
    pub line: u32,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: Name,
    /// What its status says that analysis found; nothing for most.
    pub said: Option<Arc<Said>>,
}

/// What the status of one of Istio's objects says that analysis found (`istio: api/meta/v1alpha1/status.proto`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// The generation that was looked at (`status.observedGeneration`).
    pub generation: i64,
    /// What was found (`status.validationMessages`).
    pub messages: Vec<Message>,
}

/// One of the things that were found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// Such as `IST0101`.
    pub code: Name,
    /// `ERROR`, `WARNING` or `INFO`.
    pub level: Name,
    /// What is wrong, for people; nothing where the kind's definition does not keep it, as Istio's do not.
    pub message: Option<Name>,
}

impl Said {
    /// Reads it out of an object; nothing when nothing was found.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let status = &object["status"];
        let messages = status["validationMessages"].as_array().filter(|messages| !messages.is_empty())?;
        let text = |value: &Value| value.as_str().map(Name::from);
        let read = |message: &Value| Message {
            code: text(&message["type"]["code"]).unwrap_or_default(),
            level: text(&message["level"]).unwrap_or_default(),
            message: text(&message["message"]),
        };
        let generation = &status["observedGeneration"];
        // Istio writes it as text.
        let generation = generation.as_i64().or_else(|| generation.as_str()?.parse().ok()).unwrap_or(0);
        Some(Self { generation, messages: messages.iter().map(read).collect() })
    }

    /// Whether a status that says this is as good as one that says `wanted`: a text may be missing.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        let same = |(has, wanted): (&Message, &Message)| {
            let told = has.message.is_none() || has.message == wanted.message;
            told && has.code == wanted.code && has.level == wanted.level
        };
        self.generation == wanted.generation
            && self.messages.len() == wanted.messages.len()
            && self.messages.iter().zip(&wanted.messages).all(same)
    }
}
