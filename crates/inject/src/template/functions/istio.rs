//! What Istio adds for its injection templates (istio: pkg/kube/inject/template.go).

use std::rc::Rc;

use super::encoding::unless_wrong;
use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::value::{Entries, Map};
use crate::template::{duration, format, json, yaml};

mod attributes;
mod proxy;

pub(super) use attributes::otel_resource_attributes;
pub(super) use proxy::proto_to_json;

/// The container that is not the application's.
const PROXY: &str = "istio-proxy";

pub(super) fn format_duration(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let nanos = match args.any(0) {
        Value::Duration(span) => span.go(),
        _ => 0,
    };
    runtime.text(duration::written(nanos))
}

pub(super) fn isset(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let key = args.text(1)?;
    let is_set = matches!(args.any(0), Value::Map(map) if map.entries.borrow().contains_key(key));
    Ok(Value::Bool(is_set))
}

/// Hooks that once changed their argument.
pub(super) fn same(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(args.any(0).clone())
}

/// A list of ports with one more, unless it is there or 0.
pub(super) fn exclude_inbound_port(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let port = format::plain(runtime, args.any(0))?;
    let (port, excluded) = (port.trim(), args.text(1)?);
    if matches!(port, "" | "0") || excluded.split(',').any(|known| known == port) {
        return runtime.text(excluded);
    }
    let mut ports: Vec<&str> = excluded.split(',').map(str::trim).filter(|port| !port.is_empty()).collect();
    ports.push(port);
    runtime.text(ports.join(","))
}

pub(super) fn include_inbound_ports(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ports(runtime, args.any(0), |_| true)
}

pub(super) fn application_ports(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ports(runtime, args.any(0), |name| name != PROXY)
}

fn ports(runtime: &Runtime<'_>, containers: &Value, counts: fn(&str) -> bool) -> Outcome {
    let mut found = Vec::new();
    for container in containers.items().unwrap_or_default() {
        let Value::Record(container) = container else { continue };
        if !container.get("Name").is_some_and(|name| counts(name.text().unwrap_or_default())) {
            continue;
        }
        let ports = container.get("Ports").unwrap_or(Value::Missing);
        for port in ports.items().unwrap_or_default() {
            let Value::Record(port) = port else { continue };
            let protocol = port.get("Protocol").unwrap_or(Value::Missing);
            if let (Some(Value::Whole(number, _)), false) =
                (port.get("ContainerPort"), matches!(protocol.text(), Some("UDP" | "SCTP")))
            {
                found.push(number.to_string());
            }
        }
    }
    runtime.text(found.join(","))
}

pub(super) fn annotation(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let name = args.text(1)?;
    let annotations = match args.any(0).indirect() {
        Value::Record(meta) => meta.get("Annotations").unwrap_or(Value::Missing),
        _ => Value::Missing,
    };
    if let Value::Map(annotations) = annotations
        && let Some(value) = annotations.entries.borrow().get(name)
    {
        return Ok(value.clone());
    }
    runtime.text(format::plain(runtime, args.any(2))?)
}

pub(super) fn value_or_default(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let given = args.any(0);
    let absent = given.is_nothing() || matches!(given, Value::Text(text) if text.is_empty());
    Ok(args.any(usize::from(absent)).clone())
}

pub(super) fn to_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match args.any(0) {
        Value::Nil(_) => runtime.text("{}"),
        value => runtime.text(json::encode(runtime, value, true)?),
    }
}

/// Text that is no JSON gives the text `{}`.
pub(super) fn from_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    unless_wrong(json::decode(runtime, args.text(0)?), || runtime.text("{}"))
}

pub(super) fn struct_to_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let value = args.any(0);
    if value.is_nothing() {
        return runtime.text("{}");
    }
    let text = json::encode(runtime, value, true).and_then(|text| runtime.text(text));
    unless_wrong(text, || runtime.text("{}"))
}

/// What YAML cannot have gives nothing.
pub(super) fn to_yaml(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = match json::encode(runtime, args.any(0), true) {
        Ok(text) => text,
        Err(over @ Fault::Over(_)) => return Err(over),
        Err(Fault::Said(_)) => return runtime.text(""),
    };
    // one byte more than may be made is enough to fail
    let most = runtime.meter.bytes_left();
    let json = serde_json::from_str(&text).ok();
    runtime.text(json.and_then(|json| yaml::written_within(&json, most)).unwrap_or_default())
}

/// All lines but the first, unlike sprig's.
pub(super) fn indent(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(1)?;
    let spaces = usize::try_from(args.int(0)?.unsigned_abs()).unwrap_or(usize::MAX);
    runtime.meter.bytes(spaces.saturating_mul(text.matches('\n').count()))?;
    if !text.contains('\n') {
        return Ok(args.any(1).clone());
    }
    runtime.text(text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

/// An annotation for Multus with Istio's network in it.
pub(super) fn append_multus_network(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (existing, network) = (args.text(0)?, args.text(1)?);
    if existing.is_empty() {
        return runtime.text(network);
    }
    let Some(end) = existing.rfind(']') else {
        if existing.split(',').any(|known| known.trim() == network) {
            return runtime.text(existing);
        }
        return runtime.text(format!("{existing}, {network}"));
    };
    let Ok(networks) = serde_json::from_str::<Vec<serde_json::Map<String, serde_json::Value>>>(existing) else {
        return runtime.text(existing);
    };
    let mut parts = network.split('/');
    let (namespace, name) = match (parts.next(), parts.next()) {
        (Some(namespace), Some(name)) => (namespace, name),
        _ => ("", network),
    };
    let is = |value: Option<&serde_json::Value>, text: &str| value.and_then(|value| value.as_str()) == Some(text);
    let known = networks.iter().any(|known| {
        let same_namespace = match known.get("namespace") {
            None | Some(serde_json::Value::Null) => namespace.is_empty(),
            given => is(given, namespace),
        };
        is(known.get("name"), name) && same_namespace
    });
    if known {
        return runtime.text(existing);
    }
    let place = if namespace.is_empty() { String::new() } else { format!(r#", "namespace": "{namespace}""#) };
    runtime.text(format!(r#"{}, {{"name": "{name}"{place}}}{}"#, &existing[..end], &existing[end..]))
}

/// A variable that templates may see, or the default.
pub(super) fn env(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match runtime.environment.get(args.text(0)?) {
        Some(value) if !value.is_empty() => runtime.text(value.as_str()),
        _ => Ok(args.any(1).clone()),
    }
}

fn texts(value: &Value) -> Option<&Rc<Map>> {
    match value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

pub(super) fn omit(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut entries = Entries::new();
    if let Some(map) = texts(args.any(0)) {
        entries = map.entries.borrow().clone();
    }
    for key in args.rest(1).iter().filter_map(Value::text) {
        entries.remove(key);
    }
    runtime.map(Type::Text, entries)
}

/// `dict` with values that are strings.
pub(super) fn strdict(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut entries = Entries::new();
    for pair in args.rest(0).chunks(2) {
        let value = pair.get(1).cloned().map_or_else(|| runtime.text(""), Ok)?;
        entries.insert(Rc::from(pair[0].text().unwrap_or_default()), value);
    }
    runtime.map(Type::Text, entries)
}

/// Later maps win. No map at all gives none.
pub(super) fn merge_maps(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    if args.len() == 0 {
        return Ok(Value::Nil(Type::map(Type::Text)));
    }
    let mut merged = Entries::new();
    for map in args.rest(0).iter().filter_map(texts) {
        runtime.meter.steps(map.entries.borrow().len())?;
        merged.extend(map.entries.borrow().iter().map(|(key, value)| (Rc::clone(key), value.clone())));
    }
    runtime.map(Type::Text, merged)
}

pub(super) fn to_json_map(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let merged = merge_maps(runtime, args)?;
    runtime.text(json::encode(runtime, &merged, true)?)
}

/// Without nulls, and without maps and lists that hold nothing else.
pub(super) fn omit_nil(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(without_nil(runtime, args.any(0), 0)?.unwrap_or_else(|| args.any(0).clone()))
}

/// What a value becomes, if it is changed.
fn without_nil(runtime: &Runtime<'_>, value: &Value, depth: usize) -> Result<Option<Value>, Fault> {
    runtime.meter.nested(depth)?;
    match value {
        Value::Missing | Value::Null => Ok(Some(Value::Null)),
        Value::Map(map) if map.of == Type::Any => {
            let entries = map.entries.borrow().clone();
            let mut changed = false;
            let mut kept = Entries::new();
            for (key, value) in entries {
                let without = without_nil(runtime, &value, depth + 1)?;
                changed |= without.is_some();
                let value = without.unwrap_or(value);
                if !value.is_nothing() {
                    kept.insert(key, value);
                }
            }
            Ok(match (changed, kept.is_empty()) {
                (false, _) => None,
                (true, true) => Some(Value::Null),
                (true, false) => Some(runtime.map(Type::Any, kept)?),
            })
        }
        Value::List(list) if list.of == Type::Any => {
            let mut changed = false;
            let mut kept = Vec::new();
            for value in &list.items {
                let without = without_nil(runtime, value, depth + 1)?;
                changed |= without.is_some();
                let value = without.unwrap_or_else(|| value.clone());
                if !value.is_nothing() {
                    kept.push(value);
                }
            }
            Ok(match (changed, kept.is_empty()) {
                (false, _) => None,
                (true, true) => Some(Value::Null),
                (true, false) => Some(runtime.list(Type::Any, kept)?),
            })
        }
        _ => Ok(None),
    }
}
