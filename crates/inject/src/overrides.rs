//! What a user wrote in containers that injection adds, such as `istio-proxy` with resources of its own: it wins over the templates, and is
//! kept in an annotation, so that a pod that is injected again is the same (`istio: pkg/kube/inject/webhook.go`, reapplyOverwrittenContainers).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::annotations::{OVERRIDES, STATUS};
use crate::error::Error;
use crate::overlay;
use crate::pod::{self, INIT, LISTS, PROXY, VALIDATION};
use crate::prometheus;

/// The image that stands for the injected one: a container must have some.
const AUTO: &str = "auto";

/// What an earlier injection added, by name (annotation `sidecar.istio.io/status`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) init_containers: Option<Vec<String>>,
    pub(crate) containers: Option<Vec<String>>,
    pub(crate) volumes: Option<Vec<String>>,
    pub(crate) image_pull_secrets: Option<Vec<String>>,
    pub(crate) revision: String,
}

impl Status {
    /// Of a pod; none for one that was never injected.
    pub(crate) fn of(pod: &Value) -> Option<Self> {
        serde_json::from_str(pod["metadata"]["annotations"][STATUS].as_str()?).ok()
    }

    /// What a part of a pod adds.
    pub(crate) fn telling(part: &Value, revision: &str) -> Self {
        let names = |list: &str| {
            let items = pod::items(&part["spec"][list]);
            (!items.is_empty()).then(|| items.iter().map(|item| pod::name(item).to_owned()).collect())
        };
        Self {
            init_containers: names("initContainers"),
            containers: names("containers"),
            volumes: names("volumes"),
            image_pull_secrets: names("imagePullSecrets"),
            revision: revision.to_owned(),
        }
    }

    /// Whether a container was added, in whichever list.
    fn has(&self, name: &str) -> bool {
        LISTS.iter().any(|list| self.added(list).iter().any(|added| added == name))
    }

    fn added(&self, list: &str) -> &[String] {
        let names = if list == "containers" { &self.containers } else { &self.init_containers };
        names.as_deref().unwrap_or_default()
    }
}

/// Overrides that the pod keeps of an earlier injection.
fn kept(pod: &Value) -> Result<Map<String, Value>, Error> {
    let Some(text) = pod["metadata"]["annotations"][OVERRIDES].as_str() else { return Ok(Map::new()) };
    let path = format!("metadata.annotations.{OVERRIDES}");
    serde_json::from_str(text).map_err(|error| Error::pod(path, format!("not the JSON of containers: {error}")))
}

/// The pod as it was before an earlier injection, as far as templates see it.
pub(crate) fn stripped(pod: &Value, status_port: &str) -> Result<Value, Error> {
    let Some(status) = Status::of(pod) else { return Ok(pod.clone()) };
    let mut stripped = pod.clone();
    let kept = kept(pod)?;
    for list in LISTS {
        let containers = pod::list_mut(&mut stripped, list);
        containers.retain(|container| !status.added(list).iter().any(|name| name == pod::name(container)));
        for own in kept.get(list).map_or(&[][..], pod::items) {
            if !containers.iter().any(|container| pod::name(container) == pod::name(own)) {
                containers.push(own.clone());
            }
        }
    }
    prometheus::clear_ours(&mut stripped, status_port);
    pod::object(&mut stripped, &["metadata", "annotations"]).remove(STATUS);
    Ok(stripped)
}

/// Moves the proxy to the list in which the templates have it: a user writes it beside the applications, wherever it will stand.
pub(crate) fn settle(pod: &mut Value, part: &Value) {
    let stays = pod::find(part, "initContainers", PROXY).is_some();
    let (from, to) = if stays { ("containers", "initContainers") } else { ("initContainers", "containers") };
    if pod::find(part, to, PROXY).is_none() || pod::find(pod, to, PROXY).is_some() {
        return;
    }
    // Who writes an init container with the name of the proxy means it; only what was injected is moved back.
    let ours = Status::of(pod).is_some_and(|status| status.added(from).iter().any(|name| name == PROXY));
    if !stays && !ours {
        return;
    }
    let containers = pod::list_mut(pod, from);
    let Some(at) = containers.iter().position(|container| pod::name(container) == PROXY) else { return };
    let mut proxy = containers.remove(at);
    if !stays && let Some(proxy) = proxy.as_object_mut() {
        for key in ["restartPolicy", "lifecycle"] {
            proxy.remove(key);
        }
    }
    pod::list_mut(pod, to).push(proxy);
}

/// Lays what the user wrote over what the templates added, and keeps it in the annotation. `before` is the pod as it came, `part` all that
/// the templates gave.
pub(crate) fn reapply(after: &mut Value, before: &Value, part: &Value) -> Result<(), Error> {
    let status = Status::of(before);
    let kept = kept(before)?;
    let mut found = Map::new();
    for list in LISTS {
        let added = pod::items(&part["spec"][list]);
        for container in added {
            let name = pod::name(container);
            let own = kept.get(list).map_or(&[][..], pod::items).iter().find(|each| pod::name(each) == name);
            let again = status.as_ref().is_some_and(|status| status.has(name));
            let own = own.or_else(|| if again { None } else { written(before, list, name) });
            let Some(own) = own else { continue };
            let own = meant(own);
            let over = if again { touched(&own, container) } else { own.clone() };
            let over = json!({"spec": {list: [over]}});
            overlay::lay(after, &over).map_err(|message| Error::pod(format!("spec.{list}"), message))?;
            found
                .entry(list)
                .or_insert_with(|| json!([]))
                .as_array_mut()
                .into_iter()
                .for_each(|all| all.push(own.clone()));
        }
    }
    if status.is_none() && !found.is_empty() {
        let text = Value::Object(found).to_string();
        pod::object(after, &["metadata", "annotations"]).insert(OVERRIDES.to_owned(), Value::String(text));
    }
    Ok(())
}

/// A container that the user wrote; what will stay may be written in either list.
fn written<'a>(before: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    let beside = pod::find(before, "containers", name);
    if list == "containers" { beside } else { beside.or_else(|| pod::find(before, list, name)) }
}

/// What a container says: without nulls, and without the image that stands for the injected one.
fn meant(container: &Value) -> Value {
    let mut container = pod::without_nulls(container);
    if container["image"] == AUTO {
        container.as_object_mut().map(|fields| fields.remove("image"));
    }
    container
}

/// Of a user's container what a template would change again; the rest is in the pod, where others may have changed it since.
fn touched(own: &Value, template: &Value) -> Value {
    let fields = own.as_object().into_iter().flatten();
    let fields = fields.filter(|(key, _)| *key == "name" || !template[key.as_str()].is_null());
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// The proxy's container as the user wrote it.
fn own_proxy(before: &Value) -> Result<Option<Value>, Error> {
    if Status::of(before).is_none_or(|status| !status.has(PROXY)) {
        return Ok(pod::sidecar(before).cloned());
    }
    let kept = kept(before)?;
    let all = LISTS.iter().filter_map(|list| kept.get(*list)).flat_map(pod::items);
    Ok(all.into_iter().find(|container| pod::name(container) == PROXY).cloned())
}

/// Where a user gave the proxy another user, the container of capture follows: rules exempt the proxy by its user.
pub(crate) fn follow_user(after: &mut Value, before: &Value, tproxy: bool) -> Result<(), Error> {
    if let Some(own) = own_proxy(before)? {
        follow(after, &own["securityContext"], tproxy);
    }
    Ok(())
}

fn follow(after: &mut Value, own: &Value, tproxy: bool) {
    let (user, group) = (own["runAsUser"].as_i64(), own["runAsGroup"].as_i64());
    if user.is_none() && group.is_none() {
        return;
    }
    // Without a container of capture there are no rules that exempt anyone.
    let names = [INIT, VALIDATION];
    let Some(name) = names.into_iter().find(|name| pod::find(after, "initContainers", name).is_some()) else { return };
    // Transparent proxying needs root.
    if tproxy
        && user.is_some()
        && let Some(proxy) = pod::sidecar_mut(after)
    {
        pod::object(proxy, &["securityContext"]).insert("runAsUser".to_owned(), json!(0));
    }
    let Some(capture) = pod::find_mut(after, "initContainers", name) else { return };
    if !tproxy && name == VALIDATION {
        let context = pod::object(capture, &["securityContext"]);
        for (key, id) in [("runAsUser", user), ("runAsGroup", group)] {
            id.into_iter().for_each(|id| drop(context.insert(key.to_owned(), json!(id))));
        }
    }
    // iptables cannot exempt root without exempting everyone.
    let Some(user) = user.filter(|user| *user != 0) else { return };
    let arguments = capture
        .get_mut("args")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .skip_while(|argument| *argument != "-u");
    arguments.skip(1).take(1).for_each(|argument| *argument = json!(user.to_string()));
}

/// On OpenShift every container is given the same user before injection; a proxy that runs as the application would be captured by its
/// own rules, so this is taken for nothing said.
pub(crate) fn without_platform_user(pod: &mut Value) {
    let user = |container: &Value| container["securityContext"]["runAsUser"].as_i64();
    let Some(proxy) = pod::sidecar(pod).filter(|proxy| proxy["securityContext"].is_object()) else { return };
    let containers = ["containers", "initContainers"].into_iter().flat_map(|list| pod::items(&pod["spec"][list]));
    let others = containers.filter(|container| ![PROXY, INIT, VALIDATION].contains(&pod::name(container)));
    let application = others.filter_map(user).next_back();
    if user(proxy).unwrap_or(0) != application.unwrap_or(0) {
        return;
    }
    if let Some(proxy) = pod::sidecar_mut(pod) {
        let context = pod::object(proxy, &["securityContext"]);
        context.remove("runAsUser");
        context.remove("runAsGroup");
    }
}
