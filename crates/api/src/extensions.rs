//! Group `extensions.istio.io`: filters that users bring along.

use std::collections::BTreeSet;

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::spec_kind;
use crate::scalars::keywords;
use crate::schema::{AtMostOne, KeyedBy, Rule, any_mapping, nullable, required};
use crate::selectors::{self, MatchSelector, PolicyTargetReference, one_target};
use crate::{Column, Issues, ObjectMeta, Shown, rules};

const GROUP: &str = "extensions.istio.io";

const SHOWN: Shown = Shown { needs_spec: true, columns: &[Column::AGE], ..Shown::PLAIN };

spec_kind!(WasmPlugin, GROUP, &["v1alpha1"], "wasmplugins", wasm_plugin, SHOWN);
spec_kind!(TrafficExtension, GROUP, &["v1alpha1"], "trafficextensions", traffic_extension, SHOWN);

/// A WebAssembly filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = one_target())]
pub struct WasmPlugin {
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// What it is attached to: the older form.
    pub target_ref: Option<PolicyTargetReference>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Where among the filters it stands.
    pub phase: Option<PluginPhase>,
    /// Among those of a phase higher ones come first.
    #[schemars(transform = nullable)]
    pub priority: Option<i32>,
    /// Traffic it is for: any of these; all without.
    pub r#match: Vec<TrafficSelector>,
    /// Where the module is: http, https, file, or an image.
    #[schemars(length(min = 1), transform = required, transform = address_rule())]
    pub url: Name,
    /// Checksum of the module.
    #[schemars(regex(pattern = SHA256))]
    pub sha256: Name,
    /// When the image is fetched.
    pub image_pull_policy: Option<PullPolicy>,
    /// Secret of the namespace for the registry.
    #[schemars(length(min = 1, max = 253))]
    pub image_pull_secret: Option<Name>,
    /// Not used.
    pub verification_key: Name,
    /// Settings that the module is given.
    #[schemars(schema_with = "any_mapping")]
    pub plugin_config: Option<Value>,
    /// Name that the module is given.
    #[schemars(length(min = 1, max = 256))]
    pub plugin_name: Option<Name>,
    /// What happens to traffic when the module fails.
    pub fail_strategy: Option<FailStrategy>,
    /// What the module runs in.
    pub vm_config: Option<VmConfig>,
    /// HTTP or network filter.
    pub r#type: Option<PluginType>,
}

/// A filter in WebAssembly or Lua.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("wasm | lua"))]
#[schemars(transform = Rule("has(self.wasm) != has(self.lua)", "exactly one of wasm and lua is needed"))]
#[schemars(transform = Rule(
    "!has(self.selector) || !has(self.targetRefs)",
    "only one of targetRefs or selector can be set",
))]
pub struct TrafficExtension {
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Where among the filters it stands.
    pub phase: Option<ExecutionPhase>,
    /// Among those of a phase higher ones come first.
    #[schemars(transform = nullable)]
    pub priority: Option<i32>,
    /// Traffic it is for: any of these; all without.
    pub r#match: Vec<TrafficSelector>,
    /// The filter is a WebAssembly module.
    pub wasm: Option<WasmConfig>,
    /// The filter is a program in Lua.
    pub lua: Option<LuaConfig>,
}

/// A WebAssembly module and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WasmConfig {
    /// Where the module is: http, https, file, or an image.
    #[schemars(length(min = 1), transform = required, transform = address_rule())]
    pub url: Name,
    /// Checksum of the module.
    #[schemars(regex(pattern = SHA256))]
    pub sha256: Name,
    /// When the image is fetched.
    pub image_pull_policy: Option<PullPolicy>,
    /// Secret of the namespace for the registry.
    #[schemars(length(min = 1, max = 253))]
    pub image_pull_secret: Option<Name>,
    /// Not used.
    pub verification_key: Name,
    /// Settings that the module is given.
    #[schemars(schema_with = "any_mapping")]
    pub plugin_config: Option<Value>,
    /// Name that the module is given.
    #[schemars(length(min = 1, max = 256))]
    pub plugin_name: Option<Name>,
    /// What happens to traffic when the module fails.
    pub fail_strategy: Option<FailStrategy>,
    /// What the module runs in.
    pub vm_config: Option<VmConfig>,
    /// HTTP or network filter.
    pub r#type: Option<PluginType>,
}

const SHA256: &str = "^([a-f0-9]{64})?$";

/// What may be the address of a module: an image needs no scheme.
const fn address_rule() -> Rule {
    Rule(
        "(isURL(self) ? url(self).getScheme() : isURL('http://' + self) ? '' : 'none') in ['', 'http', 'https', 'oci', 'file']",
        "an address with scheme http, https, oci or file is needed",
    )
}

/// A program in Lua.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LuaConfig {
    /// The program.
    #[schemars(length(min = 1, max = 65536), transform = required)]
    pub inline_code: Name,
}

/// Which traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficSelector {
    /// What is sent, received, or both.
    pub mode: Option<TrafficMode>,
    /// Traffic on these ports; all without.
    #[schemars(transform = KeyedBy("number"))]
    pub ports: Vec<TrafficPort>,
}

/// A port that traffic comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficPort {
    /// 1 to 65535.
    #[schemars(range(min = 1), transform = required)]
    pub number: u16,
}

/// The environment of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VmConfig {
    /// Environment variables of the module.
    #[schemars(length(max = 256), transform = KeyedBy("name"))]
    pub env: Vec<EnvVar>,
}

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.valueFrom) || self.valueFrom != 'HOST' || !has(self.value)",
    "a variable of the host has no value here",
))]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 256), transform = required)]
    pub name: Name,
    /// Where its value comes from; INLINE when unset.
    pub value_from: Option<EnvValueSource>,
    /// Value of the variable, for INLINE.
    #[schemars(length(max = 2048))]
    pub value: Name,
}

keywords! {
    /// Client, server or both, which is what is meant without a word too.
    pub enum TrafficMode { Undefined = "UNDEFINED", Client = "CLIENT", Server = "SERVER", ClientAndServer = "CLIENT_AND_SERVER" }
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

fn wasm_plugin(spec: &WasmPlugin, _: &ObjectMeta, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), spec.target_ref.as_ref(), &spec.target_refs, issues);
    wasm("spec", &spec.module(), issues);
    ports(&spec.r#match, issues);
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
        let mut seen = BTreeSet::new();
        for (number, port) in selector.ports.iter().enumerate() {
            let path = format!("spec.match[{at}].ports[{number}].number");
            rules::port(&path, port.number.into(), issues);
            if !seen.insert(port.number) {
                issues.error(path, format!("port {} is there twice", port.number));
            }
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
    let scheme = scheme.filter(|scheme| scheme.bytes().all(fits));
    if let Some(scheme) = scheme
        && !["http", "https", "oci", "file"].contains(&scheme)
    {
        return issues.error(path, format!("scheme {scheme:?} is none of http, https, oci and file"));
    }
    let escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let broken = url.chars().any(|character| character.is_control() || character == ' ');
    let registry = if scheme.is_none() { url.split(['/', '?', '#']).next().unwrap_or_default() } else { "" };
    if broken || !url.split('%').skip(1).all(escaped) || !names_registry(registry) {
        issues.error(path, format!("{url:?} is not an address"));
    }
}

/// A host, maybe with a port.
fn names_registry(written: &str) -> bool {
    let (host, port) = written.rsplit_once(':').unwrap_or((written, ""));
    port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(['%', '{', '}', '|', '\\', '^', '`'])
}
