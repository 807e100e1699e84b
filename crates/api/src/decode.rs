//! From a document to a checked object, the same for all kinds.
//!
//! Strict (`validate`): every mistake is an error and there is no object. Lenient (watches and files): an unknown field is a warning and
//! the object is used; a wrong value drops the smallest list item around it. A list that would become empty takes its owner along,
//! since an emptied `match` would turn a route into a catch-all. Without an item around the mistake there is no object, and the caller
//! keeps what it had.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::typed::{join, parse};
use crate::yaml::Document;
use crate::{AnyObject, ApiKind, Body, Checked, Issue, Issues, Kind, ObjectId, ObjectMeta, Origin, Severity};

mod metadata;

/// How mistakes are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As the API server and the webhook take them.
    Strict,
    /// Use what can be used.
    Lenient,
}

/// Groups of Istio whose objects are input of its installers and not of a mesh.
const INSTALLERS: [&str; 2] = ["install.istio.io", "operator.istio.io"];

/// Whether a kind that is not known there is a mistake, and not just somebody else's.
fn is_ours(group: &str) -> bool {
    group.ends_with(".istio.io") && !INSTALLERS.contains(&group)
}

/// Reads a document. No object and no error means that its kind is not one of ours.
#[must_use]
pub fn decode(document: &Document, mode: Mode) -> (Vec<AnyObject>, Vec<Issue>) {
    let Value::Object(map) = &document.value else {
        let message = "an object is a mapping with apiVersion, kind and metadata";
        return (Vec::new(), vec![issue(Severity::Error, None, "", message, document)]);
    };
    if let Some(of) = list_of(map) {
        let items = match map.get("items") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items.as_slice(),
            Some(_) => return (Vec::new(), vec![issue(Severity::Error, None, "items", "a list is needed", document)]),
        };
        let read = items.iter().enumerate().map(|(at, item)| {
            let item = named(item, of);
            one(&item, &format!("items[{at}]"), document, mode)
        });
        let (objects, issues): (Vec<_>, Vec<_>) = read.unzip();
        return (objects.into_iter().flatten().collect(), issues.into_iter().flatten().collect());
    }
    let (object, issues) = one(&document.value, "", document, mode);
    (object.into_iter().collect(), issues)
}

/// Where an object of this kind came from, also one that cannot be used.
#[must_use]
pub fn origin(kind: Kind, document: &Document) -> Option<Origin> {
    metadata::read(&document.value, kind, document).ok().map(|(_, origin)| origin)
}

/// Whether it is a list, and of what when its own kind says so: items of a `VirtualServiceList` need not say what they are.
fn list_of(map: &Map<String, Value>) -> Option<Option<(&str, &str)>> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if kind == "List" || (kind.is_empty() && map.contains_key("items") && !map.contains_key("metadata")) {
        return Some(None);
    }
    let item = kind.strip_suffix("List").filter(|_| map.contains_key("items"))?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Kind::find(group, item).map(|_| Some((api_version, item)))
}

/// An item with what its list says of it.
fn named<'v>(item: &'v Value, of: Option<(&str, &str)>) -> Cow<'v, Value> {
    let (Some((api_version, kind)), Value::Object(map)) = (of, item) else { return Cow::Borrowed(item) };
    let mut map = map.clone();
    map.entry("apiVersion").or_insert_with(|| api_version.into());
    map.entry("kind").or_insert_with(|| kind.into());
    Cow::Owned(Value::Object(map))
}

fn one<'a>(value: &'a Value, prefix: &str, document: &'a Document, mode: Mode) -> (Option<AnyObject>, Vec<Issue>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind_name) = (text("apiVersion"), text("kind"));
    if api_version.is_empty() || kind_name.is_empty() {
        return (None, vec![issue(Severity::Error, None, prefix, "apiVersion and kind are needed", document)]);
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let Some(kind) = Kind::find(group, kind_name) else {
        let (severity, message) = match is_ours(group) {
            true => {
                let severity = if mode == Mode::Strict { Severity::Error } else { Severity::Info };
                (severity, format!("there is no kind {kind_name} in {api_version}"))
            }
            false => {
                let message = format!("kind {kind_name} of {api_version} is not one that is looked at; skipped");
                (Severity::Info, message)
            }
        };
        return (None, vec![issue(severity, None, prefix, &message, document)]);
    };
    if !kind.versions().contains(&version) {
        let message = format!("{kind} has no version {version}; there are {}", kind.versions().join(", "));
        return (None, vec![issue(Severity::Error, None, &join(prefix, "apiVersion"), &message, document)]);
    }
    let (meta, origin) = match metadata::read(value, kind, document) {
        Ok(read) => read,
        Err((path, message)) => {
            return (None, vec![issue(Severity::Error, None, &join(prefix, &path), &message, document)]);
        }
    };
    let id = ObjectId { kind, namespace: meta.namespace.clone(), name: meta.name.clone() };
    let prefix = prefix.to_owned();
    let draft = Draft { value, prefix, document, mode, meta, origin, id, pruned: Vec::new() };
    draft.read_any(kind)
}

fn issue(severity: Severity, object: Option<ObjectId>, path: &str, message: &str, document: &Document) -> Issue {
    let place = document.place(path);
    Issue { code: "IST0106", severity, object, path: path.to_owned(), message: message.to_owned(), place }
}

/// An object on its way to being checked.
struct Draft<'a> {
    value: &'a Value,
    /// Where in the document the object stands.
    prefix: String,
    document: &'a Document,
    mode: Mode,
    meta: ObjectMeta,
    origin: Origin,
    id: ObjectId,
    /// What was taken out: the list, and the index at that time.
    pruned: Vec<(String, usize)>,
}

impl Draft<'_> {
    fn read_any(self, kind: Kind) -> (Option<AnyObject>, Vec<Issue>) {
        macro_rules! read {
            ($($field:ident: $kind:ident),* $(,)?) => {
                match kind { $(Kind::$kind => {
                    let (checked, issues) = self.read::<crate::$kind>();
                    (checked.map(AnyObject::$kind), issues)
                }),* }
            };
        }
        crate::for_each_kind!(read)
    }

    /// Reads and checks; repeats without the offending item until nothing offends.
    fn read<K: ApiKind>(mut self) -> (Option<Checked<K>>, Vec<Issue>) {
        let mut issues = Vec::new();
        let written = match K::BODY {
            Body::Spec => self.value.get("spec"),
            Body::Document => Some(self.value),
        };
        // It is copied only where it has to change.
        let mut body = written.map_or_else(|| Cow::Owned(Value::Null), Cow::Borrowed);
        if has_nulls(&body) {
            drop_nulls(body.to_mut());
        }
        if body.is_null() {
            body = Cow::Owned(Value::Object(Map::new()));
        }
        if K::BODY == Body::Spec {
            self.unknown_around(&mut issues);
        }
        let inner = if K::BODY == Body::Spec { "spec" } else { "" };
        // Each round removes at least one item, so there are at most as many rounds as items.
        loop {
            let unknown = |path: String| self.unknown(&join(inner, &path), &mut issues);
            let mut spec = match parse::<K>(&body, (K::BODY == Body::Spec).then_some(unknown)) {
                Ok(spec) => spec,
                Err((path, message)) => {
                    self.report(Severity::Error, "IST0106", &join(inner, &path), &message, &mut issues);
                    match self.mode == Mode::Lenient && self.prune(&mut body, &path, inner, &mut issues) {
                        true => continue,
                        false => return (None, issues),
                    }
                }
            };
            spec.observe(&self.value["status"]);
            let mut found = Issues::default();
            metadata::check(&self.meta, K::KIND, &mut found);
            spec.check(&self.meta, &mut found);
            if self.mode == Mode::Strict {
                crate::presence::check(K::KIND, &body, inner, &mut found);
            }
            crate::ledger::note(K::KIND, &body, inner, &mut found);
            let first_error =
                found.0.iter().find(|(severity, ..)| *severity == Severity::Error).map(|(_, _, path, _)| path.clone());
            for (severity, code, path, message) in &found.0 {
                self.report(*severity, code, path, message, &mut issues);
            }
            let Some(path) = first_error else {
                return (Some(Checked::new(self.meta, spec, self.origin)), issues);
            };
            let path = path.strip_prefix(inner).unwrap_or(&path).trim_start_matches('.').to_owned();
            let again = self.mode == Mode::Lenient && self.prune(&mut body, &path, inner, &mut issues);
            if !again {
                return (None, issues);
            }
        }
    }

    fn report(&self, severity: Severity, code: &'static str, path: &str, message: &str, issues: &mut Vec<Issue>) {
        let path = join(&self.prefix, &self.as_written(path));
        let place = self.document.place(&path);
        let issue = Issue { code, severity, object: Some(self.id.clone()), path, message: message.to_owned(), place };
        if !issues.contains(&issue) {
            issues.push(issue);
        }
    }

    /// A path in the body as it is now, as the user wrote it: items that were taken out count.
    fn as_written(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for (list, at) in self.pruned.iter().rev() {
            let Some(rest) = path.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix('[')) else { continue };
            let Some((index, rest)) = rest.split_once(']') else { continue };
            if let Ok(index) = index.parse::<usize>()
                && index >= *at
            {
                path = format!("{list}[{}]{rest}", index + 1);
            }
        }
        path
    }

    fn unknown(&self, path: &str, issues: &mut Vec<Issue>) {
        let severity = if self.mode == Mode::Strict { Severity::Error } else { Severity::Warning };
        self.report(severity, "IST0106", path, "there is no such field", issues);
    }

    /// Fields beside the spec.
    fn unknown_around(&self, issues: &mut Vec<Issue>) {
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        for key in self.value.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str())) {
            self.unknown(key, issues);
        }
        for path in metadata::unknown(self.value) {
            self.unknown(&path, issues);
        }
    }

    /// Takes the smallest list item around `path` out of the body.
    fn prune(&mut self, body: &mut Cow<'_, Value>, path: &str, inner: &str, issues: &mut Vec<Issue>) -> bool {
        let mut path = path.to_owned();
        loop {
            let Some(open) = path.rfind('[') else { return false };
            let Some(close) = path[open..].find(']') else { return false };
            let Ok(index) = path[open + 1..open + close].parse::<usize>() else { return false };
            let list_path = path[..open].to_owned();
            let Some(list) = at(body.to_mut(), &list_path).and_then(Value::as_array_mut) else { return false };
            if list.len() > 1 && index < list.len() {
                list.remove(index);
                let list_path = join(inner, &list_path);
                let dropped = format!("{list_path}[{index}]");
                self.report(Severity::Error, "IST0106", &dropped, "left out, because of the mistake in it", issues);
                self.pruned.push((list_path, index));
                return true;
            }
            path = list_path;
            if !path.contains('[') {
                return false;
            }
        }
    }
}

/// The value at a path of keys and indexes.
fn at<'v>(mut value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (key, indexes) = part.split_once('[').unwrap_or((part, ""));
        if !key.is_empty() {
            value = value.get_mut(key)?;
        }
        for index in indexes.split(['[', ']']).filter(|index| !index.is_empty()) {
            value = value.get_mut(index.parse::<usize>().ok()?)?;
        }
    }
    Some(value)
}

fn has_nulls(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().any(has_nulls),
        Value::Array(items) => items.iter().any(has_nulls),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A null is an unset field, as for the API server.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
