//! A CustomResourceDefinition of a kind: its names, its versions, and a schema that is the same for all of them.

use anyhow::Context;
use api::{Column, Definition, Kind};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::structural;

/// Written by hand, since no type of ours holds it: what Istio's controllers and ours say of an object. Other fields are kept, as
/// those of Gateway API and of tools that add their own.
fn status() -> Value {
    let generation = json!({
        "anyOf": [{ "type": "integer" }, { "type": "string" }],
        "description": "The generation of the object that this is about.",
        "x-kubernetes-int-or-string": true,
    });
    let text = |about: &str| json!({ "type": "string", "description": about });
    let time = |about: &str| json!({ "type": "string", "format": "date-time", "description": about });
    json!({
        "type": "object",
        "description": "What controllers say of the object.",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "conditions": {
                "type": "array",
                "description": "What is the case at present.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": text("What it is about."),
                        "status": text("True, False or Unknown."),
                        "reason": text("Why, in one word."),
                        "message": text("Why, for people."),
                        "lastProbeTime": time("When it was last looked at."),
                        "lastTransitionTime": time("When it last changed."),
                        "observedGeneration": &generation,
                    },
                },
            },
            "validationMessages": {
                "type": "array",
                "description": "What analysis found.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {
                            "type": "object",
                            "description": "Which message.",
                            "properties": { "name": text("Its name."), "code": text("Its code, such as IST0101.") },
                        },
                        "level": {
                            "type": "string",
                            "description": "How bad it is.",
                            "enum": ["UNKNOWN", "ERROR", "WARNING", "INFO"],
                        },
                        "documentationUrl": text("Where more is said of it."),
                        "message": text("What is wrong, for people."),
                    },
                },
            },
            "observedGeneration": generation,
        },
    })
}

/// The definition of a kind.
pub(super) fn of(kind: Kind, defined: &Definition) -> anyhow::Result<Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let spec = structural::bring((defined.spec)(&mut settings.into_generator()).to_value()).context("its schema")?;
    let mut schema = json!({ "type": "object", "properties": { "spec": spec, "status": status() } });
    if defined.shown.needs_spec {
        schema["required"] = json!(["spec"]);
    }
    let stored = defined.shown.stored_at.or(kind.versions().first().copied()).context("a kind has a version")?;
    let versions = kind.versions().iter().map(|version| {
        let mut entry = json!({
            "name": version,
            "served": true,
            "storage": *version == stored,
            "subresources": { "status": {} },
            "schema": { "openAPIV3Schema": &schema },
        });
        if !defined.shown.columns.is_empty() {
            entry["additionalPrinterColumns"] = defined.shown.columns.iter().map(column).collect();
        }
        entry
    });
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{}", kind.plural(), kind.group()),
            // An uninstall of a chart would take all objects along.
            "annotations": { "helm.sh/resource-policy": "keep" },
        },
        "spec": {
            "group": kind.group(),
            "names": names(kind),
            "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" },
            "versions": versions.collect::<Vec<_>>(),
        },
    });
    if let Some(short) = defined.shown.short_name {
        definition["spec"]["names"]["shortNames"] = json!([short]);
    }
    Ok(definition)
}

/// What it is called; `kubectl get istio-io` asks for a category.
fn names(kind: Kind) -> Value {
    json!({
        "kind": kind.name(),
        "listKind": format!("{kind}List"),
        "plural": kind.plural(),
        "singular": kind.name().to_lowercase(),
        "categories": ["istio-io", kind.group().replace('.', "-")],
    })
}

fn column(column: &Column) -> Value {
    json!({ "name": column.name, "jsonPath": column.path, "type": column.form, "description": column.about })
}
