//! What the API server is told of a type beyond its Rust form: words for `#[schemars(transform = ..)]`, beside the type or the field that
//! they are about. The API server holds objects to them when nothing of ours runs; what they cannot say is only in the kind's rules.
//!
//! `cargo xtask crds` makes the definitions in `crds/` of it.

use schemars::transform::Transform;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// The mark of a field that its owner must have. Rust types do not say it: that one is missing is told by the kind's rules.
pub const REQUIRED: &str = "x-required";

/// Where conditions in CEL stand.
const RULES: &str = "x-kubernetes-validations";

/// Marks a field that its owner must have.
pub(crate) fn required(field: &mut Schema) {
    field.insert(REQUIRED.to_owned(), true.into());
}

/// Lets a field be null, as wrappers of protobuf can be. A null elsewhere is left out by the API server.
pub(crate) fn nullable(field: &mut Schema) {
    field.insert("nullable".to_owned(), true.into());
}

/// A mapping that is somebody else's.
pub(crate) fn any_mapping(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A condition in CEL, and what is said when it does not hold.
#[derive(Clone, Copy)]
pub(crate) struct Rule(pub(crate) &'static str, pub(crate) &'static str);

impl Transform for Rule {
    fn transform(&mut self, schema: &mut Schema) {
        list(schema, RULES).push(json!({ "rule": self.0, "message": self.1 }));
    }
}

/// Of a number.
pub(crate) const fn port() -> Rule {
    Rule("self >= 1 && self <= 65535", "a port is in 1..65535")
}

/// Of a label that is looked for.
pub(crate) const fn no_wildcard() -> Rule {
    Rule("!self.contains('*')", "wildcards are not supported in selectors")
}

/// An expression for names of headers.
pub(crate) const HEADER_NAME: &str = "^[A-Za-z0-9_-]+$";

/// Takes back a condition that the type has elsewhere.
pub(crate) struct Without(pub(crate) Rule);

impl Transform for Without {
    fn transform(&mut self, schema: &mut Schema) {
        list(schema, RULES).retain(|rule| rule["rule"] != self.0.0);
    }
}

/// Of these fields, with ` | ` between them, at most one is there, as of a `oneof` of protobuf. A type has up to two of them.
pub(crate) struct AtMostOne(pub(crate) &'static str);

impl Transform for AtMostOne {
    fn transform(&mut self, schema: &mut Schema) {
        let said: Vec<Value> = self.0.split(" | ").map(|field| json!({ "required": [field] })).collect();
        let none = json!({ "not": { "anyOf": said } });
        let choice: Vec<Value> = std::iter::once(none).chain(said).collect();
        match schema.remove("oneOf") {
            None => drop(schema.insert("oneOf".to_owned(), choice.into())),
            Some(other) => list(schema, "allOf").extend([json!({ "oneOf": other }), json!({ "oneOf": choice })]),
        }
    }
}

/// What holds for each item of a list or each value of a mapping.
pub(crate) struct Each<T>(pub(crate) T);

impl<T: Transform> Transform for Each<T> {
    fn transform(&mut self, schema: &mut Schema) {
        for key in ["items", "additionalProperties"] {
            if let Some(Ok(inner)) = schema.get_mut(key).map(<&mut Schema>::try_from) {
                self.0.transform(inner);
            }
        }
    }
}

/// A string of at most so many characters.
pub(crate) struct AtMost(pub(crate) u32);

impl Transform for AtMost {
    fn transform(&mut self, schema: &mut Schema) {
        schema.insert("maxLength".to_owned(), self.0.into());
    }
}

/// A list with at most one item for each value of a field.
pub(crate) struct KeyedBy(pub(crate) &'static str);

impl Transform for KeyedBy {
    fn transform(&mut self, schema: &mut Schema) {
        schema.insert("x-kubernetes-list-type".to_owned(), "map".into());
        schema.insert("x-kubernetes-list-map-keys".to_owned(), json!([self.0]));
    }
}

/// A field with a second name, which is read as well.
pub(crate) struct Alias(pub(crate) &'static str, pub(crate) &'static str);

impl Transform for Alias {
    fn transform(&mut self, schema: &mut Schema) {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties
            && let Some(field) = properties.get(self.0).cloned()
        {
            properties.insert(self.1.to_owned(), field);
        }
    }
}

/// The list under a keyword; there is an empty one where there was none.
fn list<'s>(schema: &'s mut Schema, key: &str) -> &'s mut Vec<Value> {
    let found = schema.ensure_object().entry(key.to_owned()).or_insert_with(|| json!([]));
    found.as_array_mut().expect("only lists are put under this keyword")
}
