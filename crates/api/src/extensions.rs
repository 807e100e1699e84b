//! Group `extensions.istio.io`: filters that users bring along.

use std::collections::BTreeSet;

use names::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::spec_kind;
use crate::scalars::keywords;
use crate::selectors::{self, MatchSelector, PolicyTargetReference};
use crate::telemetry::WorkloadMode;
use crate::{Issues, ObjectMeta, rules};

const GROUP: &str = "extensions.istio.io";

spec_kind!(WasmPlugin, GROUP, &["v1alpha1"], "wasmplugins", |spec, _, issues| {
    selectors::check(spec.selector.as_ref(), spec.target_ref.as_ref(), &spec.target_refs, issues);
    wasm("spec", &spec.module(), issues);
    ports(&spec.r#match, issues);
});
spec_kind!(TrafficExtension, GROUP, &["v1alpha1"], "trafficextensions", traffic_extension);

/// A WebAssembly filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WasmPlugin {
    /// Which workloads.
    pub selector: Option<MatchSelector>,
    /// What it is attached to: the older form.
    pub target_ref: Option<PolicyTargetReference>,
    /// What it is attached to.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Where among the filters.
    pub phase: Option<PluginPhase>,
    /// Higher first.
    pub priority: Option<i32>,
    /// Which traffic.
    pub r#match: Vec<TrafficSelector>,
    /// Where it is.
    pub url: Name,
    /// Its checksum.
    pub sha256: Name,
    /// When it is fetched.
    pub image_pull_policy: Option<PullPolicy>,
    /// A Secret of the namespace.
    pub image_pull_secret: Option<Name>,
    /// Not used.
    pub verification_key: Name,
    /// Its settings.
    pub plugin_config: Option<Value>,
    /// Its name.
    pub plugin_name: Option<Name>,
    /// What happens without it.
    pub fail_strategy: Option<FailStrategy>,
    /// Its environment.
    pub vm_config: Option<VmConfig>,
    /// HTTP or network.
    pub r#type: Option<PluginType>,
}

/// A filter in WebAssembly or Lua.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficExtension {
    /// Which workloads.
    pub selector: Option<MatchSelector>,
    /// What it is attached to.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Where among the filters.
    pub phase: Option<ExecutionPhase>,
    /// Higher first.
    pub priority: Option<i32>,
    /// Which traffic.
    pub r#match: Vec<TrafficSelector>,
    /// WebAssembly.
    pub wasm: Option<WasmConfig>,
    /// Lua.
    pub lua: Option<LuaConfig>,
}

/// A WebAssembly module and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WasmConfig {
    /// Where it is.
    pub url: Name,
    /// Its checksum.
    pub sha256: Name,
    /// When it is fetched.
    pub image_pull_policy: Option<PullPolicy>,
    /// A Secret of the namespace.
    pub image_pull_secret: Option<Name>,
    /// Not used.
    pub verification_key: Name,
    /// Its settings.
    pub plugin_config: Option<Value>,
    /// Its name.
    pub plugin_name: Option<Name>,
    /// What happens without it.
    pub fail_strategy: Option<FailStrategy>,
    /// Its environment.
    pub vm_config: Option<VmConfig>,
    /// HTTP or network.
    pub r#type: Option<PluginType>,
}

/// A program in Lua.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LuaConfig {
    /// The program.
    pub inline_code: Name,
}

/// Which traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficSelector {
    /// Client, server or both.
    pub mode: Option<WorkloadMode>,
    /// On these ports.
    pub ports: Vec<crate::scalars::PortSelector>,
}

/// The environment of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VmConfig {
    /// Its variables.
    pub env: Vec<EnvVar>,
}

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Its name.
    pub name: Name,
    /// Where its value comes from.
    pub value_from: Option<EnvValueSource>,
    /// Its value.
    pub value: Name,
}

keywords! {
    /// Where among the filters.
    pub enum PluginPhase { Unspecified = "UNSPECIFIED_PHASE", Authn = "AUTHN", Authz = "AUTHZ", Stats = "STATS" }
}

keywords! {
    /// Where among the filters.
    pub enum ExecutionPhase { Unspecified = "UNSPECIFIED", Authn = "AUTHN", Authz = "AUTHZ", Stats = "STATS" }
}

keywords! {
    /// When a module is fetched.
    pub enum PullPolicy { Unspecified = "UNSPECIFIED_POLICY", IfNotPresent = "IfNotPresent", Always = "Always" }
}

keywords! {
    /// What happens without the module.
    pub enum FailStrategy { FailClose = "FAIL_CLOSE", FailOpen = "FAIL_OPEN", FailReload = "FAIL_RELOAD" }
}

keywords! {
    /// HTTP or network.
    pub enum PluginType { Unspecified = "UNSPECIFIED_PLUGIN_TYPE", Http = "HTTP", Network = "NETWORK" }
}

keywords! {
    /// Where a variable's value comes from.
    pub enum EnvValueSource { Inline = "INLINE", Host = "HOST" }
}

impl WasmPlugin {
    /// The part that a TrafficExtension has too.
    fn module(&self) -> WasmConfig {
        WasmConfig {
            url: self.url.clone(),
            sha256: self.sha256.clone(),
            image_pull_policy: self.image_pull_policy,
            image_pull_secret: self.image_pull_secret.clone(),
            verification_key: self.verification_key.clone(),
            plugin_config: self.plugin_config.clone(),
            plugin_name: self.plugin_name.clone(),
            fail_strategy: self.fail_strategy,
            vm_config: self.vm_config.clone(),
            r#type: self.r#type,
        }
    }
}

fn traffic_extension(spec: &TrafficExtension, _: &ObjectMeta, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), None, &spec.target_refs, issues);
    ports(&spec.r#match, issues);
    match (&spec.wasm, &spec.lua) {
        (Some(said), None) => wasm("spec.wasm", said, issues),
        (None, Some(lua)) => {
            if lua.inline_code.is_empty() || lua.inline_code.len() > 65536 {
                issues.error("spec.lua.inlineCode", "a program of 1 to 65536 bytes is needed");
            }
        }
        (Some(_), Some(_)) | (None, None) => issues.error("spec", "exactly one of wasm and lua is needed"),
    }
}

fn ports(selectors: &[TrafficSelector], issues: &mut Issues) {
    for (at, selector) in selectors.iter().enumerate() {
        for (number, port) in selector.ports.iter().enumerate() {
            rules::port(&format!("spec.match[{at}].ports[{number}].number"), port.number.into(), issues);
        }
    }
}

fn wasm(path: &str, wasm: &WasmConfig, issues: &mut Issues) {
    address(&format!("{path}.url"), &wasm.url, issues);
    if wasm.plugin_config.as_ref().is_some_and(|config| !config.is_object()) {
        issues.error(format!("{path}.pluginConfig"), "a mapping is needed");
    }
    let hex = wasm.sha256.len() == 64 && wasm.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !wasm.sha256.is_empty() && !hex {
        issues.error(format!("{path}.sha256"), "64 hexadecimal digits are needed");
    }
    for (field, written, most) in
        [("imagePullSecret", &wasm.image_pull_secret, 253), ("pluginName", &wasm.plugin_name, 256)]
    {
        if written.as_ref().is_some_and(|written| !(1..=most).contains(&written.len())) {
            issues.error(format!("{path}.{field}"), format!("1 to {most} characters"));
        }
    }
    let mut names = BTreeSet::new();
    for (at, variable) in wasm.vm_config.iter().flat_map(|config| &config.env).enumerate() {
        let path = format!("{path}.vmConfig.env[{at}]");
        if variable.name.is_empty() || variable.name.len() > 256 {
            issues.error(format!("{path}.name"), "a name of 1 to 256 characters is needed");
        } else if !names.insert(&variable.name) {
            issues.error(format!("{path}.name"), format!("{} is there twice", variable.name));
        }
        let from_host = variable.value_from.unwrap_or_default() == EnvValueSource::Host;
        if (from_host && !variable.value.is_empty()) || variable.value.len() > 2048 {
            issues.error(format!("{path}.value"), "at most 2048 characters, and none with HOST");
        }
    }
}

/// Where a module is: with a known scheme, or the name of an image, which is one of a registry
/// (`istio: pkg/config/validation/validation.go validateWasmPluginURL`).
fn address(path: &str, url: &str, issues: &mut Issues) {
    if url.is_empty() {
        return issues.error(path, "an address is needed");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let scheme = scheme.filter(|scheme| scheme.starts_with(|first: char| first.is_ascii_alphabetic()));
    if let Some(scheme) = scheme.filter(|scheme| scheme.bytes().all(fits))
        && !["http", "https", "oci", "file"].contains(&scheme)
    {
        return issues.error(path, format!("scheme {scheme:?} is none of http, https, oci and file"));
    }
    let escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let broken = url.chars().any(|character| character.is_control() || character == ' ');
    if broken || !url.split('%').skip(1).all(escaped) {
        issues.error(path, format!("{url:?} is not an address"));
    }
}
