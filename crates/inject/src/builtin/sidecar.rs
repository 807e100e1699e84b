//! Template `sidecar`: the proxy beside an application, with its traffic captured.

use serde_json::{Value, json};

use super::agent::{self, Role};
use super::{Context, capture, metadata, volumes};
use crate::annotations::BIND;
use crate::images;
use crate::parts::{Capabilities, Container, Metadata, Part, Port, SecurityContext, Spec};
use crate::pod::PROXY;

pub(super) fn part(context: &Context<'_>) -> Part {
    let (mounts, of_user) = volumes::of_user(context);
    let mut proxy = container(context);
    proxy.volume_mounts = volumes::mounts(context, "istio-envoy", true);
    let mut all = volumes::volumes(context, "istio-envoy", true);
    if let Some((mount, volume)) = volumes::lightstep(context) {
        proxy.volume_mounts.push(mount);
        all.push(volume);
    }
    proxy.volume_mounts.extend(mounts);
    all.extend(of_user);
    let capture = (context.interception() != "NONE").then(|| capture::container(context));
    let mut spec = Spec {
        init_containers: capture.into_iter().collect(),
        volumes: all,
        image_pull_secrets: volumes::pull_secrets(context),
        ..Spec::default()
    };
    if context.is_native() {
        spec.init_containers.push(proxy);
    } else {
        spec.containers.push(proxy);
    }
    Part { metadata: labelled(context), spec }
}

fn labelled(context: &Context<'_>) -> Metadata {
    let mut metadata = metadata::common(context);
    let own = |label: &str, otherwise: &str| {
        let own = context.labels.get(label).filter(|value| !value.is_empty());
        own.map_or_else(|| otherwise.to_owned(), Clone::clone)
    };
    metadata.labels.insert("security.istio.io/tlsMode", own("security.istio.io/tlsMode", "istio"));
    if context.has_metadata("ISTIO_META_ENABLE_HBONE", "true") {
        metadata.labels.insert("networking.istio.io/tunnel", own("networking.istio.io/tunnel", "http"));
    }
    metadata.annotations.extend(capture::for_plugin(context));
    metadata
}

fn container(context: &Context<'_>) -> Container {
    let probed = context.status_port() != "0";
    Container {
        name: PROXY.to_owned(),
        image: images::proxy(context.values(), &context.proxy, &context.annotations),
        image_pull_policy: context.values().global.image_pull_policy.clone(),
        restart_policy: context.is_native().then_some("Always"),
        ports: vec![Port { name: "http-envoy-prom", container_port: 15090, protocol: "TCP" }],
        args: agent::arguments(context, Role::Sidecar),
        env: agent::environment(context, Role::Sidecar),
        resources: context.resources(),
        lifecycle: lifecycle(context),
        startup_probe: agent::startup(context).filter(|_| probed),
        readiness_probe: probed.then(|| agent::readiness(context, Role::Sidecar, 15021)),
        security_context: Some(security(context)),
        ..Container::default()
    }
}

/// What kubelet does when the proxy begins and ends. A proxy that stays begins to drain when the pod is told to end, and ends after the
/// applications.
fn lifecycle(context: &Context<'_>) -> Value {
    let given = &context.values().global.proxy.lifecycle;
    if given.as_object().is_some_and(|given| !given.is_empty()) {
        return given.clone();
    }
    if context.is_native() {
        let port = format!("--debug-port={}", context.status_port());
        return json!({"preStop": {"exec": {"command": ["pilot-agent", "request", port, "POST", "drain"]}}});
    }
    if context.holds() {
        return json!({"postStart": {"exec": {"command": ["pilot-agent", "wait"]}}});
    }
    Value::Null
}

/// No rights at all, unless the way of capture or a low port needs one.
fn security(context: &Context<'_>) -> SecurityContext {
    let seccomp_profile = context.seccomp_profile();
    if context.has_metadata("IPTABLES_TRACE_LOGGING", "true") {
        return SecurityContext {
            allow_privilege_escalation: Some(true),
            privileged: Some(true),
            capabilities: Capabilities::only(&["NET_ADMIN"]),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(false),
            run_as_user: 0,
            run_as_group: context.group,
            seccomp_profile,
        };
    }
    let values = &context.values().global.proxy;
    let tproxy = context.is_tproxy();
    let binds = context.annotation_or(BIND, &values.cap_net_bind_service) == "true";
    let needed: Vec<&str> = [("NET_ADMIN", tproxy), ("NET_BIND_SERVICE", binds)]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect();
    // Kubernetes gives capabilities to root only.
    let root = !needed.is_empty();
    SecurityContext {
        allow_privilege_escalation: Some(values.privileged),
        privileged: Some(values.privileged),
        capabilities: Capabilities::only(&needed),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(!root),
        run_as_user: if root { 0 } else { context.user },
        run_as_group: if root { 1337 } else { context.group },
        seccomp_profile,
    }
}
