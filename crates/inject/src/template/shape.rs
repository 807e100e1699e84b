//! The Go types of what istiod hands to templates: which fields there are, what their names are in Go and in JSON, and what stands for
//! them when they are not given. Templates are written against these types, and Go treats an absent field of a struct (empty) unlike an
//! absent key of a map (no value at all). The tables are beside this file. Knows no values.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// A type of Go, as far as templates can tell it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface {}`.
    Any,
    Bool,
    Whole(Whole),
    Float,
    Text,
    /// A string type with a name of its own, which is not assignable to `string`.
    Named(&'static str),
    Enum(&'static str),
    List(Arc<Type>),
    /// With keys that are strings.
    Map(Arc<Type>),
    Pointer(Arc<Type>),
    /// One of the tables.
    Record(&'static str),
    /// A duration of protobuf, always behind a pointer.
    Duration,
    Time,
    /// A semantic version, always behind a pointer.
    Version,
}

/// Types of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    Int,
    Int32,
    Int64,
    Uint8,
    Uint32,
    Uint64,
}

impl Whole {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::Int | Self::Int32 | Self::Int64)
    }
}

impl Type {
    pub(crate) fn list(of: Self) -> Self {
        Self::List(Arc::new(of))
    }

    pub(crate) fn map(of: Self) -> Self {
        Self::Map(Arc::new(of))
    }

    pub(crate) fn pointer(to: Self) -> Self {
        Self::Pointer(Arc::new(to))
    }

    /// As Go prints it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Any => "interface {}".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Whole(whole) => whole.name().to_owned(),
            Self::Float => "float64".to_owned(),
            Self::Text => "string".to_owned(),
            Self::Named(name) | Self::Enum(name) | Self::Record(name) => (*name).to_owned(),
            Self::List(of) => format!("[]{}", of.name()),
            Self::Map(of) => format!("map[string]{}", of.name()),
            Self::Pointer(to) => format!("*{}", to.name()),
            Self::Duration => "*durationpb.Duration".to_owned(),
            Self::Time => "time.Time".to_owned(),
            Self::Version => "*semver.Version".to_owned(),
        }
    }

    /// Go's kind of it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Any => "interface",
            Self::Bool => "bool",
            Self::Whole(whole) => whole.name(),
            Self::Float => "float64",
            Self::Named(name) if is_struct(name) => "struct",
            Self::Text | Self::Named(_) => "string",
            Self::Enum(_) => "int32",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Record(_) | Self::Time => "struct",
            Self::Pointer(_) | Self::Duration | Self::Version => "ptr",
        }
    }
}

/// A type with fields.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// A message of protobuf: it is written as protobuf's JSON and has getters.
    pub(crate) message: bool,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) json: String,
    pub(crate) kind: Type,
    /// Written as JSON even when empty.
    pub(crate) always: bool,
    /// Its fields are also those of the type around it.
    pub(crate) embedded: bool,
    /// Its fields stand in its place in JSON.
    pub(crate) inline: bool,
}

/// Names and numbers of an enumeration of protobuf.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) values: Vec<(&'static str, i32)>,
}

impl Enum {
    /// The value's name, or its number where it has none.
    pub(crate) fn written(&self, number: i32) -> String {
        match self.values.iter().find(|(_, known)| *known == number) {
            Some((name, _)) => (*name).to_owned(),
            None => number.to_string(),
        }
    }
}

#[derive(Debug, Default)]
struct Tables {
    shapes: BTreeMap<&'static str, Shape>,
    enums: BTreeMap<&'static str, Enum>,
    named: Vec<&'static str>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let texts =
        [include_str!("shape/kubernetes.txt"), include_str!("shape/mesh.txt"), include_str!("shape/gateway.txt")];
    let mut tables = Tables::default();
    // names first: the types of fields refer to them
    for line in texts.iter().flat_map(|text| text.lines()) {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        match words.next() {
            Some("named") => tables.named.extend(words.skip(1)),
            Some("enum") => tables.read_enum(words),
            _ => {}
        }
    }
    for line in texts.iter().flat_map(|text| text.lines()) {
        tables.read_shape(line);
    }
    tables
});

impl Tables {
    fn read_enum(&mut self, mut words: impl Iterator<Item = &'static str>) {
        let Some(name) = words.next() else { return };
        let values = words
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)));
        self.enums.insert(name, Enum { values: values.collect() });
    }

    fn read_shape(&mut self, line: &'static str) {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let Some(kind @ ("root" | "struct" | "message")) = words.next() else { return };
        let Some(name) = words.next() else { return };
        let fields = words.map(|word| self.field(word, kind == "root")).collect();
        self.shapes.insert(name, Shape { name, message: kind == "message", fields });
    }

    fn field(&self, word: &'static str, root: bool) -> Field {
        let always = root || word.starts_with('!');
        let embedded = word.starts_with('^');
        let word = word.trim_start_matches(['!', '^']);
        let (names, kind) = word.split_once(':').unwrap_or((word, "string"));
        let (name, json) = match names.split_once('=') {
            Some((name, json)) => (name, json.to_owned()),
            None if root => (names, names.to_owned()),
            None => (names, small_first(names)),
        };
        Field { name, json, kind: self.read_type(kind), always, embedded, inline: embedded && !names.contains('=') }
    }

    fn read_type(&self, text: &'static str) -> Type {
        if let Some(of) = text.strip_prefix("[]") {
            return Type::list(self.read_type(of));
        }
        if let Some(of) = text.strip_prefix("map:") {
            return Type::map(self.read_type(of));
        }
        match text {
            "*duration" => Type::Duration,
            "any" => Type::Any,
            "bool" => Type::Bool,
            "string" | "bytes" => Type::Text,
            "int" => Type::Whole(Whole::Int),
            "int32" => Type::Whole(Whole::Int32),
            "int64" => Type::Whole(Whole::Int64),
            "uint32" => Type::Whole(Whole::Uint32),
            "uint64" => Type::Whole(Whole::Uint64),
            "float64" => Type::Float,
            "time" => Type::Named("v1.Time"),
            "quantity" => Type::Named("resource.Quantity"),
            _ => match text.strip_prefix('*') {
                Some(to) => Type::pointer(self.read_type(to)),
                None if self.enums.contains_key(text) => Type::Enum(text),
                None if self.named.contains(&text) => Type::Named(text),
                None => Type::Record(text),
            },
        }
    }
}

/// Types of Kubernetes that are structs in Go but text in JSON: moments and quantities.
pub(crate) fn is_struct(name: &str) -> bool {
    matches!(name, "v1.Time" | "resource.Quantity")
}

fn small_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + characters.as_str())
}

/// The type with this name; one without fields if no table has it, which a test excludes.
pub(crate) fn of(name: &'static str) -> &'static Shape {
    static NONE: Shape = Shape { name: "", message: false, fields: Vec::new() };
    TABLES.shapes.get(name).unwrap_or(&NONE)
}

/// The enumeration with this name.
pub(crate) fn enumeration(name: &'static str) -> &'static Enum {
    static NONE: Enum = Enum { values: Vec::new() };
    TABLES.enums.get(name).unwrap_or(&NONE)
}

#[cfg(test)]
mod tests;
