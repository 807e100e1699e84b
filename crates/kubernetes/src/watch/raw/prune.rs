//! What objects say that nobody here reads, which is most of a Pod and of a Node: passed over while it is parsed, never kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::LAST_APPLIED;

/// A part of an object; of a list, each of its items.
pub(super) struct Part {
    /// Keys that are left out.
    without: &'static [&'static str],
    /// Nothing but these keys, unless there are none.
    only: &'static [&'static str],
    /// Keys whose values are reduced too.
    inside: &'static [(&'static str, Part)],
}

const ALL: Part = Part { without: &[], only: &[], inside: &[] };
static WHOLE: Part = ALL;

/// Any object. What Pods and Nodes have no other kind has under the same keys.
pub(super) static OBJECT: Part = Part {
    inside: &[
        (
            "metadata",
            Part {
                without: &["managedFields", "ownerReferences"],
                inside: &[("annotations", Part { without: &[LAST_APPLIED], ..ALL })],
                ..ALL
            },
        ),
        (
            "spec",
            Part {
                without: &["volumes", "initContainers", "ephemeralContainers", "tolerations", "affinity"],
                inside: &[("containers", Part { only: &["name", "ports"], ..ALL })],
                ..ALL
            },
        ),
        (
            "status",
            Part {
                without: &["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", "images"],
                ..ALL
            },
        ),
    ],
    ..ALL
};

impl Part {
    fn leaves_out(&self, key: &str) -> bool {
        self.without.contains(&key) || !self.only.is_empty() && !self.only.contains(&key)
    }

    fn of(&'static self, key: &str) -> &'static Part {
        let found = self.inside.iter().find(|(own, _)| *own == key);
        found.map_or(&WHOLE, |(_, part)| part)
    }
}

impl<'de> DeserializeSeed<'de> for &'static Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &'static Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.leaves_out(&key) {
                entries.next_value::<IgnoredAny>()?;
            } else {
                let value = entries.next_value_seed(self.of(&key))?;
                map.insert(key, value);
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = OBJECT.deserialize(&mut reader)?;
        reader.end()?;
        Ok(read)
    }

    #[test]
    fn what_nobody_reads_is_passed_over_and_the_rest_is_as_it_was() {
        let status = json!({ "phase": "Running", "conditions": [{ "type": "Ready" }] });
        let mut pod = json!({
            "metadata": { "name": "web-1", "labels": { "volumes": "a" }, "annotations": { "a": "b" } },
            "spec": { "nodeName": "n", "containers": [{ "name": "app", "ports": [{ "name": "http", "containerPort": 80 }] }] },
            "status": status,
            "numbers": [1, -1, 1.5, true, null, u64::MAX], "volumes": { "images": [] },
        });
        let wanted = pod.clone();
        pod["metadata"]["managedFields"] = json!([{ "fieldsV1": { "f:spec": {} } }]);
        pod["metadata"]["annotations"][LAST_APPLIED] = json!("{}");
        pod["spec"]["volumes"] = json!([{ "name": "token" }]);
        pod["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "b" }]);
        pod["status"]["containerStatuses"] = json!([{ "image": "app" }]);
        assert_eq!(read(&pod.to_string()).unwrap(), wanted);
        let text = pod.to_string();
        for cut in 1..text.len() {
            assert!(read(&text[..cut]).is_err(), "half an object is none: {}", &text[..cut]);
        }
    }
}
