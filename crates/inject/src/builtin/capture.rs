//! The container that sets the rules of capture (`istio-init`), or, where a CNI plugin sets them, checks them (`istio-validation`); and
//! what the plugin is told.

use std::collections::BTreeMap;

use super::Context;
use crate::annotations::{
    AGENT_LOG_LEVEL, EX_INBOUND, EX_INTERFACES, EX_OUTBOUND, EX_RANGES, IN_INBOUND, IN_OUTBOUND, IN_RANGES,
    INTERCEPTION, KUBEVIRT, REROUTE,
};
use crate::images;
use crate::parts::{Capabilities, Container, SecurityContext, Variable};
use crate::pod::{INIT, VALIDATION};

/// Networks of the plugin Multus.
const MULTUS: &str = "k8s.v1.cni.cncf.io/networks";
/// Ports of the proxy that are never captured.
const OWN_PORTS: &str = "15090,15021";
/// User of the proxy where it must not be another one.
const PROXY_USER: i64 = 1337;

/// What is captured.
struct Traffic<'a> {
    include_ranges: &'a str,
    exclude_ranges: &'a str,
    include_inbound: &'a str,
    exclude_inbound: String,
    include_outbound: Option<&'a str>,
    exclude_outbound: Option<&'a str>,
    reroute: Option<&'a str>,
    exclude_interfaces: Option<&'a str>,
}

impl<'a> Traffic<'a> {
    fn of(context: &'a Context<'_>) -> Self {
        let proxy = &context.values().global.proxy;
        let given = |name: &str| context.annotations.get(name).map(String::as_str);
        let said = |name: &str, values: &'a str| given(name).or(Some(values).filter(|values| !values.is_empty()));
        let exclude = context.annotation_or(EX_INBOUND, &proxy.exclude_inbound_ports);
        Self {
            include_ranges: context.annotation_or(IN_RANGES, &proxy.include_ip_ranges),
            exclude_ranges: context.annotation_or(EX_RANGES, &proxy.exclude_ip_ranges),
            include_inbound: context.annotation_or(IN_INBOUND, &proxy.include_inbound_ports),
            exclude_inbound: with_port(context.status_port(), exclude),
            include_outbound: said(IN_OUTBOUND, &proxy.include_outbound_ports),
            exclude_outbound: said(EX_OUTBOUND, &proxy.exclude_outbound_ports),
            reroute: given(REROUTE).or(given(KUBEVIRT)),
            exclude_interfaces: given(EX_INTERFACES),
        }
    }
}

/// Ports and the agent's own, which kubelet asks.
fn with_port(port: &str, excluded: &str) -> String {
    let port = port.trim();
    if port.is_empty() || port == "0" || excluded.split(',').any(|each| each == port) {
        return excluded.to_owned();
    }
    let ports: Vec<&str> = excluded.split(',').map(str::trim).filter(|each| !each.is_empty()).chain([port]).collect();
    ports.join(",")
}

/// The container.
pub(super) fn container(context: &Context<'_>) -> Container {
    let cni = context.values().pilot.cni.enabled;
    Container {
        name: if cni { VALIDATION } else { INIT }.to_owned(),
        image: images::init(context.values(), &context.annotations),
        image_pull_policy: context.values().global.image_pull_policy.clone(),
        args: arguments(context, cni),
        env: context.proxy_metadata().map(|(name, value)| Variable::text(name, value)).collect(),
        resources: context.resources(),
        security_context: Some(if cni { checking(context) } else { setting(context) }),
        ..Container::default()
    }
}

fn arguments(context: &Context<'_>, cni: bool) -> Vec<String> {
    let global = &context.values().global;
    let traffic = Traffic::of(context);
    let user = if context.is_tproxy() { PROXY_USER } else { context.user };
    let excluded = match traffic.exclude_inbound.as_str() {
        "" => OWN_PORTS.to_owned(),
        ports => format!("{OWN_PORTS},{ports}"),
    };
    let pairs = [
        ("-p", Some(context.mesh().port("proxyListenPort"))),
        ("-z", Some(context.mesh().port("proxyInboundListenPort"))),
        ("-u", Some(user.to_string())),
        ("-m", Some(context.interception().to_owned())),
        ("-i", Some(traffic.include_ranges.to_owned())),
        ("-x", Some(traffic.exclude_ranges.to_owned())),
        ("-b", Some(traffic.include_inbound.to_owned())),
        ("-d", Some(excluded)),
        ("-q", traffic.include_outbound.map(str::to_owned)),
        ("-o", traffic.exclude_outbound.map(str::to_owned)),
        ("-k", traffic.reroute.map(str::to_owned)),
        ("-c", traffic.exclude_interfaces.map(str::to_owned)),
    ];
    let mut arguments = vec!["istio-iptables".to_owned()];
    for (flag, value) in pairs.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
        arguments.extend([flag.to_owned(), value]);
    }
    let level = context.annotation_or(AGENT_LOG_LEVEL, &global.logging.level);
    arguments.push(format!("--log_output_level={level}"));
    let switches = [
        ("--log_as_json", global.log_as_json),
        ("--run-validation", cni),
        ("--skip-rule-apply", cni),
        ("--force-apply", !cni && global.proxy_init.force_apply_iptables),
        ("--native-nftables", global.native_nftables),
    ];
    arguments.extend(switches.into_iter().filter(|(_, on)| *on).map(|(switch, _)| switch.to_owned()));
    arguments
}

/// Rules are set by root, with the two capabilities that this needs.
fn setting(context: &Context<'_>) -> SecurityContext {
    let privileged = context.values().global.proxy.privileged;
    SecurityContext {
        allow_privilege_escalation: Some(privileged),
        privileged: Some(privileged),
        capabilities: Capabilities::only(&["NET_ADMIN", "NET_RAW"]),
        read_only_root_filesystem: Some(false),
        run_as_non_root: Some(false),
        run_as_user: 0,
        run_as_group: 0,
        seccomp_profile: context.seccomp_profile(),
    }
}

/// Looking needs nothing, but it has to be the proxy's user that looks.
fn checking(context: &Context<'_>) -> SecurityContext {
    let privileged = context.values().global.proxy.privileged;
    let tproxy = context.is_tproxy();
    SecurityContext {
        allow_privilege_escalation: Some(privileged),
        privileged: Some(privileged),
        capabilities: Capabilities::only(&[]),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        run_as_user: if tproxy { PROXY_USER } else { context.user },
        run_as_group: if tproxy { PROXY_USER } else { context.group },
        seccomp_profile: context.seccomp_profile(),
    }
}

/// Annotations that tell a CNI plugin what to capture.
pub(super) fn for_plugin(context: &Context<'_>) -> BTreeMap<&'static str, String> {
    let cni = &context.values().pilot.cni;
    let mut told = BTreeMap::new();
    if !cni.enabled {
        return told;
    }
    if cni.provider == "multus" {
        let known = context.annotations.get(MULTUS).map_or("", String::as_str);
        told.insert(MULTUS, with_network(known, "default", "istio-cni"));
    }
    let traffic = Traffic::of(context);
    told.insert(INTERCEPTION, context.interception().to_owned());
    told.insert(IN_INBOUND, traffic.include_inbound.to_owned());
    told.insert(EX_INBOUND, traffic.exclude_inbound.clone());
    let given = |name: &str| context.annotations.get(name).map(String::as_str);
    let filled = [
        (IN_RANGES, Some(traffic.include_ranges)),
        (EX_RANGES, Some(traffic.exclude_ranges)),
        (KUBEVIRT, given(KUBEVIRT)),
        (REROUTE, given(REROUTE)),
        (EX_INTERFACES, traffic.exclude_interfaces),
    ];
    let filled = filled.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let outbound = [(IN_OUTBOUND, traffic.include_outbound), (EX_OUTBOUND, traffic.exclude_outbound)];
    let outbound = outbound.into_iter().filter_map(|(name, value)| Some((name, value?)));
    told.extend(filled.chain(outbound).map(|(name, value)| (name, value.to_owned())));
    told
}

/// Adds a network to those of Multus, which are names with commas or a JSON list.
fn with_network(known: &str, namespace: &str, name: &str) -> String {
    let whole = format!("{namespace}/{name}");
    if known.is_empty() {
        return whole;
    }
    let Some(end) = known.rfind(']') else {
        let has = known.split(',').any(|each| each.trim() == whole);
        return if has { known.to_owned() } else { format!("{known}, {whole}") };
    };
    let Ok(networks) = serde_json::from_str::<Vec<serde_json::Value>>(known) else { return known.to_owned() };
    if networks.iter().any(|each| each["name"] == name && each["namespace"] == namespace) {
        return known.to_owned();
    }
    let comma = if networks.is_empty() { "" } else { ", " };
    let added = format!("{comma}{{\"name\": \"{name}\", \"namespace\": \"{namespace}\"}}");
    format!("{}{added}{}", &known[..end], &known[end..])
}
