//! Scalars that several kinds share: durations, string matches, percentages, port selectors.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration as Std;

use names::Name;
use schemars::transform::Transform as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::schema::{AtMostOne, Rule};

/// Makes an enum of words as users write them; the first is the default.
macro_rules! keywords {
    ($(#[$about:meta])* pub enum $name:ident { $first:ident = $first_word:literal $(, $rest:ident = $word:literal)* $(,)? }) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            #[doc = concat!("`", $first_word, "`")]
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $(
                #[doc = concat!("`", $word, "`")]
                #[serde(rename = $word)]
                $rest,
            )*
        }
    };
}
pub(crate) use keywords;

/// A duration as users write it: `1h30m`, `0.5s`, `100ms` (Go) or `5s` (proto JSON).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(Std);

impl Duration {
    /// Reads whole seconds, for settings: `24h`, `90s`.
    ///
    /// # Errors
    /// When it is no duration, in words.
    pub fn parse_seconds(text: &str) -> Result<i64, String> {
        i64::try_from(Self::parse(text)?.0.as_secs()).map_err(|error| error.to_string())
    }

    /// From milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Std::from_millis(millis))
    }

    /// From seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Std::from_secs(seconds))
    }

    /// As the standard library's type.
    #[must_use]
    pub fn std(self) -> Std {
        self.0
    }

    /// Zero switches most things off.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Reads a sequence of numbers with units, as Go's `time.ParseDuration` does. Negative durations have no use here.
    ///
    /// # Errors
    /// When the text is no such sequence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("invalid duration {text:?}: write a number with a unit, such as 5s, 100ms or 1h30m");
        if text == "0" {
            return Ok(Self::default());
        }
        let mut rest = text;
        let mut nanos = 0f64;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
            let number: f64 = rest[..end].parse().map_err(|_| bad())?;
            rest = &rest[end..];
            let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            let unit = match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(bad()),
            };
            nanos += number * unit;
            rest = &rest[end..];
        }
        if nanos > 1e18 * 9.0 {
            return Err(bad());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: positive and below 2^63")]
        let nanos = nanos.round() as u64;
        Ok(Self(Std::from_nanos(nanos)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Where the API server asks nothing of a duration, the field is `with = "Option<String>"`.
impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string" });
        let long_enough =
            Rule("duration(self) >= duration('1ms')", "a duration such as 5s, of at least 1ms, is needed");
        { long_enough }.transform(&mut schema);
        schema
    }
}

/// How a string is compared; at most one of the fields is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("exact | prefix | regex"))]
pub struct StringMatch {
    /// It is equal to this.
    pub exact: Option<Name>,
    /// It starts with this.
    pub prefix: Option<Name>,
    /// All of it fits this expression, in RE2.
    pub regex: Option<Name>,
}

/// A [`StringMatch`] that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// Equal.
    Exact(&'a str),
    /// Starts with.
    Prefix(&'a str),
    /// The whole matches this RE2 expression.
    Regex(&'a str),
}

impl StringMatch {
    /// What is asked for; `None` for an empty match, which means presence.
    #[must_use]
    pub fn kind(&self) -> Option<Match<'_>> {
        let exact = self.exact.as_deref().map(Match::Exact);
        let prefix = || self.prefix.as_deref().map(Match::Prefix);
        exact.or_else(prefix).or_else(|| self.regex.as_deref().map(Match::Regex))
    }

    /// How many of the alternatives are set; more than one is an error.
    #[must_use]
    pub fn alternatives(&self) -> usize {
        usize::from(self.exact.is_some()) + usize::from(self.prefix.is_some()) + usize::from(self.regex.is_some())
    }
}

/// A percentage with fractions, 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Percent {
    /// 0, or 0.0001 to 100.
    pub value: f64,
}

/// A port of a service by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PortSelector {
    /// 1 to 65535.
    #[schemars(with = "u32")]
    pub number: u16,
}

/// A number or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrString {
    /// A port number.
    Int(u16),
    /// A port name.
    String(Name),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = IntOrString;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port number or a port name")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<IntOrString, E> {
                let number = u16::try_from(number).map_err(|_| E::custom(format!("port {number} is out of range")))?;
                Ok(IntOrString::Int(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<IntOrString, E> {
                let number = u16::try_from(number).map_err(|_| E::custom(format!("port {number} is out of range")))?;
                Ok(IntOrString::Int(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrString, E> {
                Ok(text.parse().map_or_else(|_| IntOrString::String(Name::from(text)), IntOrString::Int))
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl Serialize for IntOrString {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number) => to.serialize_u16(*number),
            Self::String(name) => to.serialize_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
