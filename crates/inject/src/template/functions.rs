//! The functions that templates may call, in one table: those of Go's `text/template`, of sprig 3.3 and of Istio's injector, each with the
//! types of its parameters. Where two have a function of the same name, Istio's is meant before sprig's before Go's, as in istiod.

use super::meter::Fault;
use super::shape::Type;
use super::value::{Outcome, Runtime, Value};

mod builtin;
mod conversions;
mod defaults;
mod dicts;
mod encoding;
mod istio;
mod lists;
pub(crate) mod methods;
mod moments;
mod numbers;
mod paths;
mod refused;
mod regexes;
mod strings;
mod table;
mod urls;
mod words;

/// The type of a parameter: what may be given for it is checked before the function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    /// `interface {}`.
    Any,
    /// A value as it is, where no value at all is told from nil: parameters of Go's own functions.
    Reflect,
    Text,
    Int,
    Bool,
    Float,
    Time,
    /// `map[string]interface {}`.
    Dict,
    /// `map[string]string`.
    Texts,
    Version,
    /// The metadata of an object of Kubernetes.
    Meta,
    /// Containers of a pod.
    Containers,
    /// A duration of protobuf.
    Duration,
    /// A message of protobuf.
    Message,
    /// The settings of the mesh.
    Mesh,
}

impl Param {
    /// As Go names the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Text => "string",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Float => "float64",
            Self::Time => "time.Time",
            Self::Dict => "map[string]interface {}",
            Self::Texts => "map[string]string",
            Self::Version => "*semver.Version",
            Self::Meta => "v1.ObjectMeta",
            Self::Containers => "[]v1.Container",
            Self::Duration => "*durationpb.Duration",
            Self::Message => "protoreflect.ProtoMessage",
            Self::Mesh => "*v1alpha1.MeshConfig",
        }
    }

    /// Whether nil may stand for it, and as what.
    pub(crate) fn nil(self) -> Option<Value> {
        match self {
            Self::Reflect => Some(Value::Missing),
            Self::Any | Self::Message => Some(Value::Null),
            Self::Dict => Some(Value::Nil(Type::map(Type::Any))),
            Self::Texts => Some(Value::Nil(Type::map(Type::Text))),
            Self::Containers => Some(Value::Nil(Type::list(Type::Record("v1.Container")))),
            Self::Version => Some(Value::Nil(Type::Version)),
            Self::Duration => Some(Value::Nil(Type::Duration)),
            Self::Mesh => Some(Value::Nil(Type::pointer(Type::Record("v1alpha1.MeshConfig")))),
            Self::Text | Self::Int | Self::Bool | Self::Float | Self::Time | Self::Meta => None,
        }
    }

    /// Whether a value of the type may be given.
    pub(crate) fn takes(self, of: &Type) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::Message => match of {
                Type::Duration => true,
                Type::Pointer(to) => matches!(&**to, Type::Record(name) if super::shape::of(name).message),
                _ => false,
            },
            _ => of.name() == self.name(),
        }
    }
}

/// A function of the table.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    /// The last parameter may be given any number of times.
    pub(crate) variadic: bool,
    pub(crate) call: Call,
}

/// What a function does.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Plain(fn(&Runtime<'_>, &Args<'_>) -> Outcome),
    /// Evaluates its arguments only as far as needed, and gives the first that is so (`or`) or not (`and`).
    FirstThatIs(bool),
    /// It exists in istiod, but not here, for this reason.
    Refused(&'static str),
}

/// What a function is called with: values of the types of its parameters.
pub(crate) struct Args<'a>(pub(crate) &'a [Value]);

impl Args<'_> {
    pub(crate) fn any(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Missing)
    }

    pub(crate) fn rest(&self, from: usize) -> &[Value] {
        self.0.get(from..).unwrap_or_default()
    }

    pub(crate) fn text(&self, index: usize) -> Result<&str, Fault> {
        match self.any(index).text() {
            Some(text) => Ok(text),
            None => Fault::said(format!("argument {index} is no string")),
        }
    }

    pub(crate) fn int(&self, index: usize) -> Result<i64, Fault> {
        match self.any(index) {
            Value::Whole(number, _) => Ok(*number as i64),
            _ => Fault::said(format!("argument {index} is no integer")),
        }
    }

    pub(crate) fn float(&self, index: usize) -> Result<f64, Fault> {
        match self.any(index) {
            Value::Float(number) => Ok(*number),
            _ => Fault::said(format!("argument {index} is no float64")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The function with this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    table::find(name)
}

/// What a call of a function gives that is not here.
pub(crate) fn refuse(why: &str) -> Outcome {
    Fault::said(why)
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    table::names()
}

#[cfg(test)]
mod tests;
