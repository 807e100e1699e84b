//! Templates of users in the language of Go's `text/template`, with the functions that Istio's injector has: what the ConfigMap
//! `istio-sidecar-injector` holds renders here as in istiod (istio: pkg/kube/inject/inject.go, RunTemplate).
//!
//! ```
//! use inject::template::{Options, Template};
//! use serde_json::json;
//!
//! let template = Template::parse("sidecar", "image: {{ .ProxyImage | quote }}")?;
//! let data = json!({ "ProxyImage": "proxyv2:1.29" });
//! assert_eq!(template.render(&data, &Options::default())?, "image: \"proxyv2:1.29\"");
//! # Ok::<(), inject::template::Error>(())
//! ```
//!
//! # What the data is
//!
//! Data is given as JSON and seen as the Go struct that istiod would have given: [`Root`] says which. The keys of its outermost object are
//! the names of that struct's fields (`ObjectMeta`, `Spec`, `ProxyConfig`, `Values` ...); below them stand objects of Kubernetes and
//! messages of the mesh as they are written in YAML. A template finds a field by its name in Go (`.Spec.DNSPolicy`) and by that in JSON
//! (`.Spec.dnsPolicy`), messages have their getters (`.ProxyConfig.GetTracing.GetTlsSettings`), and what is absent is the empty value of
//! the field's type, so that `eq .Spec.NodeName ""` holds for a pod without a node. A field that the type does not have is a mistake; one
//! that the data has beyond the type is there. Below `Values`, and everywhere with [`Root::Plain`], data has no types: an absent key is no
//! value (`<no value>` when printed: istiod leaves the option `missingkey` as it is), and each number is a `float64`, as `encoding/json`
//! makes it.
//!
//! # Where it differs from istiod
//!
//! - Nothing is taken from outside: no clock, no network, no random numbers, no keys made. Functions that would need it exist, and say
//!   so when they are called. `env` sees what [`Options::environment`] has.
//! - What a rendering may cost is limited: [`Limits`].
//! - Strings are text: what would cut a character into bytes, or decode to bytes that are no UTF-8, is a mistake.
//! - Maps have an order: `keys` and `values` give it. Local time is UTC.
//! - Printing a whole struct gives its fields, and a whole message its JSON; pointers in them have no address.
//! - Complex numbers do not exist. Blocks and parentheses nest at most 100 levels deep.

use std::collections::BTreeMap;

use serde_json::Value as Json;

mod dates;
mod duration;
mod error;
mod exec;
mod format;
mod functions;
mod json;
mod lex;
mod meter;
mod number;
mod parse;
mod present;
mod quote;
mod shape;
mod tree;
mod unicode;
mod value;
mod versions;
pub(crate) mod yaml;

pub use error::{Error, Kind};

/// A template that was read.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    text: String,
    templates: BTreeMap<String, tree::Nodes>,
}

/// How data is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Root {
    /// As what istiod gives to templates of sidecars (istio: pkg/kube/inject/inject.go, SidecarTemplateData).
    #[default]
    Sidecar,
    /// As what it gives to templates of gateways' deployments (istio: pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go,
    /// derivedInput): the Gateway stands under `Gateway`.
    Gateway,
    /// As maps and lists without types.
    Plain,
}

/// What a rendering may cost. It is counted, not timed, so that the same template and data always end in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nodes walked, functions called, elements looked at.
    pub steps: u64,
    /// Bytes of values made or read through on the way.
    pub memory: usize,
    /// Bytes of the result.
    pub output: usize,
    /// Templates, blocks and parentheses inside of each other; no more than 400 in any case.
    pub depth: usize,
    /// Bytes of a compiled regular expression.
    pub regex: usize,
}

impl Default for Limits {
    /// Some hundred times of what Istio's own templates need.
    fn default() -> Self {
        Self { steps: 1_000_000, memory: 32 << 20, output: 4 << 20, depth: 200, regex: 256 << 10 }
    }
}

/// How to render.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the data is seen.
    pub root: Root,
    /// What it may cost.
    pub limits: Limits,
    /// The variables that the function `env` sees: those of the control plane that its operator lets templates have.
    pub environment: BTreeMap<String, String>,
}

impl Template {
    /// Reads a template. Its name stands in messages; istiod names all of them `inject`.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), text: text.to_owned(), templates: parse::parse(name, text)? })
    }

    /// The template as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the template makes of the data.
    pub fn render(&self, data: &Json, options: &Options) -> Result<String, Error> {
        let runtime = value::Runtime::new(meter::Meter::new(&options.limits), &options.environment);
        let of = match options.root {
            Root::Sidecar => present::sidecar(),
            Root::Gateway => present::gateway(),
            Root::Plain => shape::Type::Any,
        };
        let dot = present::present(&runtime, data, &of, 0).map_err(|fault| self.unfit(fault))?;
        exec::Execution::new(&self.name, &self.text, &self.templates, &runtime).run(dot)
    }

    /// The data cannot be seen as what it is to be.
    fn unfit(&self, fault: meter::Fault) -> Error {
        let (executing, at) = (self.name.clone(), ".".to_owned());
        let (kind, message) = match fault {
            meter::Fault::Said(message) => (Kind::Execution { executing, at }, format!("data{message}")),
            meter::Fault::Over(message) => (Kind::Limit { executing, at }, format!("the data {message}")),
        };
        Error { template: self.name.clone(), line: 1, column: 0, kind, message }
    }
}

/// Reads and renders a template of a sidecar within the usual limits.
pub fn render(text: &str, data: &Json) -> Result<String, Error> {
    Template::parse("inject", text)?.render(data, &Options::default())
}

#[cfg(test)]
mod tests;
