use std::collections::BTreeSet;

use api::yaml::documents;
use api::{Mode, Severity, decode};
use serde_json::{Map, json};

use super::*;

mod judge;

/// Calls for each node of a schema with its path.
fn each_node(schema: &Value, path: &str, found: &mut dyn FnMut(&Value, &str)) {
    found(schema, path);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each_node(property, &format!("{path}.{name}"), found);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            each_node(inner, &format!("{path}{mark}"), found);
        }
    }
}

/// Each kind's name and one schema of it.
fn schemas() -> Vec<(String, Value)> {
    let of = |definition: Value| {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        (kind, definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    definitions().unwrap().into_iter().map(of).collect()
}

/// What the API server asks of schemas (`apiextensions-apiserver: pkg/apiserver/schema/validation.go`), and what would be a slip of ours.
#[test]
fn schemas_are_structural() {
    for (kind, schema) in schemas() {
        each_node(&schema, &kind, &mut |node, path| {
            let any_type = node["x-kubernetes-int-or-string"] == true;
            assert!(node["type"].is_string() || any_type, "{path} has no type");
            let keys: BTreeSet<&str> = node.as_object().unwrap().keys().map(String::as_str).collect();
            assert!(!(keys.contains("properties") && keys.contains("additionalProperties")), "{path}");
            assert!(!keys.contains(api::schema::REQUIRED) && !keys.contains("anyOf") || any_type, "{path}: {keys:?}");
            let has = |field: &Value| node["properties"].get(field.as_str().unwrap()).is_some();
            for field in node["required"].as_array().into_iter().flatten() {
                assert!(has(field), "{path} has no {field}, which is required");
            }
            let mut named = Vec::new();
            for key in ["oneOf", "allOf"] {
                collect(&node[key], "required", &mut named);
            }
            assert!(named.iter().all(has), "{path} has a union of {named:?}, and not all of them");
            for key in node["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
                let required = node["items"]["required"].as_array();
                assert!(
                    required.is_some_and(|required| required.contains(key)),
                    "{path}: the key {key} may be missing"
                );
            }
            for condition in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(!condition["message"].as_str().unwrap().contains('\n'), "{path}: {condition}");
            }
        });
    }
}

/// All items of the lists under a keyword, wherever it stands.
fn collect(value: &Value, key: &str, found: &mut Vec<Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_array).into_iter().flatten().cloned());
            map.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}

/// Client-side apply keeps the whole object in an annotation, of which there are 256 KiB.
#[test]
fn definitions_fit_into_the_annotation_of_kubectl_apply() {
    for definition in definitions().unwrap() {
        let size = definition.to_string().len();
        assert!(size < 240 * 1024, "{}: {size}", definition["metadata"]["name"]);
    }
}

#[test]
fn each_kind_has_one_stored_version_and_its_names() {
    let definitions = definitions().unwrap();
    let told: Vec<String> = definitions
        .iter()
        .map(|definition| {
            let (name, spec) = (&definition["metadata"]["name"], &definition["spec"]);
            let versions = spec["versions"].as_array().unwrap();
            assert!(versions.iter().all(|version| version["served"] == true), "{name}");
            let stored: Vec<_> = versions.iter().filter(|version| version["storage"] == true).collect();
            assert_eq!(stored.len(), 1, "{name}");
            let short = spec["names"]["shortNames"][0].as_str().unwrap_or("-");
            format!("{} {short} {}", name.as_str().unwrap(), stored[0]["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told.len(), 15);
    for wanted in [
        "virtualservices.networking.istio.io vs v1",
        "telemetries.telemetry.istio.io telemetry v1alpha1",
        "envoyfilters.networking.istio.io - v1alpha3",
        "authorizationpolicies.security.istio.io ap v1",
    ] {
        assert!(told.iter().any(|told| told == wanted), "{wanted}: {told:?}");
    }
    assert_eq!(
        definitions[0]["spec"]["names"],
        json!({
            "kind": "VirtualService", "listKind": "VirtualServiceList", "plural": "virtualservices",
            "singular": "virtualservice", "shortNames": ["vs"], "categories": ["istio-io", "networking-istio-io"],
        })
    );
}

#[test]
fn files_are_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER);
    let (wanted, mut found) = (wanted().unwrap(), found(&folder).unwrap());
    assert_eq!(differences(&wanted, &found), [""; 0]);
    // What is written is what was meant: a YAML reader gets the definition back.
    for (definition, text) in definitions().unwrap().into_iter().map(|made| (made.clone(), &wanted[&file_of(&made)])) {
        assert_eq!(documents(text, None).unwrap()[0].value, definition);
    }
    found.insert("other.yaml".to_owned(), String::new());
    found.remove("gateways.networking.istio.io.yaml");
    assert_eq!(differences(&wanted, &found), ["gateways.networking.istio.io.yaml", "other.yaml"]);
}

fn file_of(definition: &Value) -> String {
    format!("{}.yaml", definition["metadata"]["name"].as_str().unwrap())
}

/// What an object is refused for by the rules of its kind.
fn checked(kind: &str, spec: Option<&Value>) -> Vec<String> {
    let kind = Kind::ALL.iter().find(|known| known.name() == kind && known.definition().is_some()).unwrap();
    let mut object = Map::from_iter([
        ("apiVersion".to_owned(), format!("{}/{}", kind.group(), kind.versions()[0]).into()),
        ("kind".to_owned(), kind.name().into()),
        ("metadata".to_owned(), json!({ "name": "a", "namespace": "shop" })),
    ]);
    object.extend(spec.map(|spec| ("spec".to_owned(), spec.clone())));
    let (_, issues) = decode(&documents(&Value::Object(object).to_string(), None).unwrap()[0], Mode::Strict);
    issues.into_iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.to_string()).collect()
}

#[test]
fn definitions_and_rules_judge_alike_and_each_condition_refuses_something() {
    let text = include_str!("../../../../tests/kubernetes/objects.yaml");
    let objects = documents(text, None).unwrap().remove(0).value;
    let mut refused_for = Vec::new();
    let schemas = schemas();
    for (kind, schema) in &schemas {
        let of_kind = objects.as_array().unwrap().iter().find(|entry| entry["kind"] == kind.as_str());
        let of_kind = of_kind.unwrap_or_else(|| panic!("there are no objects of {kind}"));
        let judged = |spec: Option<&Value>| {
            let whole = spec.map_or_else(|| json!({}), |spec| json!({ "spec": spec }));
            judge::complaints(schema, &whole)
        };
        for spec in of_kind["taken"].as_array().unwrap() {
            assert_eq!((judged(Some(spec)), checked(kind, Some(spec))), (Vec::new(), Vec::new()), "{kind} {spec}");
        }
        for entry in of_kind["refused"].as_array().unwrap() {
            let (why, spec) = (entry["why"].as_str().unwrap(), entry.get("spec"));
            let said = judged(spec);
            assert!(said.iter().any(|said| said.contains(why)), "{kind} {entry}: {said:?}");
            assert!(!checked(kind, spec).is_empty(), "{kind} {entry} passes the rules");
            refused_for.extend(said);
        }
    }
    let mut idle = BTreeSet::new();
    for (kind, schema) in &schemas {
        each_node(schema, kind, &mut |node, path| {
            for condition in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = condition["message"].as_str().unwrap();
                if !refused_for.iter().any(|said| said.contains(message)) {
                    idle.insert(format!("{path}: {message}"));
                }
            }
        });
    }
    assert!(idle.is_empty(), "conditions that refuse none of the objects: {idle:#?}");
}

#[test]
fn words_that_nobody_thought_of_are_errors() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "array", "items": { "$ref": "#/b" } } } });
    let error = structural::bring(schema).unwrap_err();
    assert_eq!(format!("{error:#}"), "a: items: \"$ref\" is not a word for the API server");
}
