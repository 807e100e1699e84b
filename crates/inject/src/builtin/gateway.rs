//! Template `gateway`: a pod that is a proxy.

use serde_json::{Value, json};

use super::agent::{self, Role};
use super::{Context, metadata, volumes};
use crate::images;
use crate::parts::{Container, Part, Port, SecurityContext, Spec};
use crate::pod::{self, PROXY};

/// Low ports need no capability where this is 0.
const LOW_PORTS: &str = "net.ipv4.ip_unprivileged_port_start";

pub(super) fn part(context: &Context<'_>) -> Part {
    let given = &context.values().global.proxy.lifecycle;
    let proxy = Container {
        name: PROXY.to_owned(),
        image: images::proxy(context.values(), &context.proxy, &context.annotations),
        image_pull_policy: context.values().global.image_pull_policy.clone(),
        ports: vec![Port { name: "http-envoy-prom", container_port: 15090, protocol: "TCP" }],
        args: agent::arguments(context, Role::Gateway),
        env: agent::environment(context, Role::Gateway),
        lifecycle: given.as_object().filter(|given| !given.is_empty()).map_or(Value::Null, |_| given.clone()),
        readiness_probe: Some(agent::readiness(context, Role::Gateway, 15021)),
        security_context: Some(SecurityContext {
            run_as_user: context.user,
            run_as_group: context.group,
            ..SecurityContext::default()
        }),
        volume_mounts: volumes::mounts(context, "istio-envoy", false),
        ..Container::default()
    };
    let spec = Spec {
        security_context: security(context),
        containers: vec![proxy],
        volumes: volumes::volumes(context, "istio-envoy", false),
        image_pull_secrets: volumes::pull_secrets(context),
        ..Spec::default()
    };
    Part { metadata: metadata::common(context), spec }
}

/// The pod's: of the values, else what lets the proxy listen on ports 80 and 443 without rights. The list is replaced when it is laid over
/// the pod's, so it has what the pod has.
fn security(context: &Context<'_>) -> Value {
    let given = &context.values().gateways.security_context;
    if given.as_object().is_some_and(|given| !given.is_empty()) {
        return given.clone();
    }
    let mut sysctls = pod::items(&context.pod["spec"]["securityContext"]["sysctls"]).to_vec();
    match sysctls.iter_mut().find(|each| pod::name(each) == LOW_PORTS) {
        Some(known) => known["value"] = json!("0"),
        None => sysctls.push(json!({"name": LOW_PORTS, "value": "0"})),
    }
    json!({ "sysctls": sysctls })
}
