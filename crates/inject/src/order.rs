//! The order of containers, which is the order in which they start (`istio: pkg/kube/inject/webhook.go`, reorderPod).

use serde_json::Value;

use crate::pod::{self, INIT, PROXY, VALIDATION};

const CORE_DUMP: &str = "enable-core-dump";

/// Puts what was injected where it belongs. `holds` says that applications wait for the proxy.
pub(crate) fn order(pod: &mut Value, holds: bool) {
    // Last, so that kubectl takes the user's container; first, where the application waits.
    place(pod, "containers", PROXY, holds);
    if pod::find(pod, "initContainers", PROXY).is_some() {
        // The proxy comes before the user's init containers, which are part of the mesh then.
        for name in [CORE_DUMP, PROXY, VALIDATION, INIT] {
            place(pod, "initContainers", name, true);
        }
    } else {
        // Nothing of the user's starts where the rules are missing that a plugin should have set; but as long as there is no proxy,
        // the user's init containers run before rules are set.
        place(pod, "initContainers", VALIDATION, true);
        place(pod, "initContainers", INIT, false);
        place(pod, "initContainers", CORE_DUMP, false);
    }
}

fn place(pod: &mut Value, list: &str, name: &str, first: bool) {
    if pod::find(pod, list, name).is_none() {
        return;
    }
    let containers = pod::list_mut(pod, list);
    let (named, others): (Vec<_>, Vec<_>) = containers.drain(..).partition(|container| pod::name(container) == name);
    let (before, after) = if first { (named, others) } else { (others, named) };
    containers.extend(before.into_iter().chain(after));
}
