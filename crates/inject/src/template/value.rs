//! What templates work on: values as Go has them behind its interfaces, with as much of their types as templates can see.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use regex::Regex;

use super::meter::{Fault, Meter};
use super::shape::{self, Shape, Type, Whole};

/// What a function gives.
pub(crate) type Outcome = Result<Value, Fault>;

/// The entries of a map, in the order in which Go prints and ranges over them.
pub(crate) type Entries = BTreeMap<Rc<str>, Value>;

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    /// No value at all: a key that a map does not have, or Go's untyped nil.
    Missing,
    /// An empty interface, as an element of a list or a map: JSON's null.
    Null,
    /// Nil of a type: a list, a map or a pointer.
    Nil(Type),
    Bool(bool),
    Whole(i128, Whole),
    Float(f64),
    Text(Rc<str>),
    /// A string whose type has a name of its own.
    Named(Rc<str>, &'static str),
    Enum(i32, &'static str),
    List(Rc<List>),
    Map(Rc<Map>),
    Record(Rc<Record>),
    Pointer(Rc<Value>),
    /// A duration of protobuf.
    Duration(Span),
    Time(Rc<Time>),
    Version(Rc<Version>),
}

/// A list and the type of its elements.
pub(crate) struct List {
    pub(crate) of: Type,
    pub(crate) items: Vec<Value>,
}

/// A map from strings: shared by whoever holds it, and changed in place by `set` and `merge`.
pub(crate) struct Map {
    pub(crate) of: Type,
    pub(crate) entries: RefCell<Entries>,
}

/// A struct.
pub(crate) struct Record {
    pub(crate) shape: &'static Shape,
    /// Beside those of the shape; none where the data has none.
    pub(crate) fields: Vec<Option<Value>>,
    /// What the data has beyond the shape: fields that are newer than the tables.
    pub(crate) extra: Entries,
}

/// A length of time, of protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

/// A moment and the zone in which it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Time {
    /// Since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
    /// East of Greenwich, in seconds.
    pub(crate) offset: i32,
    /// Empty for one that has only an offset.
    pub(crate) zone: String,
}

/// A semantic version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) numbers: [u64; 3],
    pub(crate) pre: String,
    pub(crate) metadata: String,
    /// As it was given.
    pub(crate) original: String,
}

impl Record {
    pub(crate) fn empty(name: &'static str) -> Self {
        let shape = shape::of(name);
        Self { shape, fields: vec![None; shape.fields.len()], extra: Entries::new() }
    }

    /// The value of a field by its place in the shape.
    pub(crate) fn at(&self, index: usize) -> Value {
        match (self.fields.get(index), self.shape.fields.get(index)) {
            (Some(Some(value)), _) => value.clone(),
            (_, Some(field)) => Value::zero(&field.kind),
            _ => Value::Missing,
        }
    }

    /// The value of a field by its name in Go.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.find(&|field| field.name == name)
    }

    /// A field by what it is called: its name in Go, else in JSON, else what the data has beyond the shape.
    pub(crate) fn called(&self, name: &str) -> Option<Value> {
        let extra = || {
            let small: String =
                name.chars().enumerate().map(|(i, c)| if i == 0 { c.to_ascii_lowercase() } else { c }).collect();
            self.extra.get(name).or_else(|| self.extra.get(small.as_str())).cloned()
        };
        self.get(name).or_else(|| self.find(&|field| field.json == name)).or_else(extra)
    }

    /// The nearest field that is so.
    fn find(&self, is: &dyn Fn(&shape::Field) -> bool) -> Option<Value> {
        let fields = self.shape.fields.iter().enumerate();
        if let Some((index, _)) = fields.clone().find(|(_, field)| is(field)) {
            return Some(self.at(index));
        }
        fields.filter(|(_, field)| field.embedded).find_map(|(index, _)| match self.at(index).indirect() {
            Value::Record(inner) => inner.find(is),
            _ => None,
        })
    }
}

impl Value {
    pub(crate) fn int(value: i64) -> Self {
        Self::Whole(i128::from(value), Whole::Int)
    }

    pub(crate) fn int64(value: i64) -> Self {
        Self::Whole(i128::from(value), Whole::Int64)
    }

    /// What a variable of the type holds before anything is assigned.
    pub(crate) fn zero(of: &Type) -> Self {
        match of {
            Type::Any => Self::Null,
            Type::Bool => Self::Bool(false),
            Type::Whole(whole) => Self::Whole(0, *whole),
            Type::Float => Self::Float(0.0),
            Type::Text => Self::Text(Rc::from("")),
            Type::Named(name) => Self::Named(Rc::from(""), name),
            Type::Enum(name) => Self::Enum(0, name),
            Type::Record(name) => Self::Record(Rc::new(Record::empty(name))),
            Type::Time => {
                Self::Time(Rc::new(Time { seconds: -62_135_596_800, nanos: 0, offset: 0, zone: "UTC".to_owned() }))
            }
            Type::List(_) | Type::Map(_) | Type::Pointer(_) | Type::Duration | Type::Version => Self::Nil(of.clone()),
        }
    }

    /// Its type; none for no value.
    pub(crate) fn type_of(&self) -> Option<Type> {
        Some(match self {
            Self::Missing => return None,
            Self::Null => Type::Any,
            Self::Nil(of) => of.clone(),
            Self::Bool(_) => Type::Bool,
            Self::Whole(_, whole) => Type::Whole(*whole),
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::Text,
            Self::Named(_, name) => Type::Named(name),
            Self::Enum(_, name) => Type::Enum(name),
            Self::List(list) => Type::list(list.of.clone()),
            Self::Map(map) => Type::map(map.of.clone()),
            Self::Record(record) => Type::Record(record.shape.name),
            Self::Pointer(to) => Type::pointer(to.type_of()?),
            Self::Duration(_) => Type::Duration,
            Self::Time(_) => Type::Time,
            Self::Version(_) => Type::Version,
        })
    }

    /// The name of its type as Go's `%T` has it.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Self::Missing | Self::Null => "<nil>".to_owned(),
            _ => self.type_of().map_or_else(|| "<nil>".to_owned(), |of| of.name()),
        }
    }

    /// Go's kind of what is in the interface.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing | Self::Null => "invalid",
            _ => self.type_of().map_or("invalid", |of| of.kind()),
        }
    }

    /// What `if` takes for true.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Null | Self::Nil(_) => false,
            Self::Bool(value) => *value,
            Self::Whole(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Named(_, name) if shape::is_struct(name) => true,
            Self::Text(text) | Self::Named(text, _) => !text.is_empty(),
            Self::Enum(number, _) => *number != 0,
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.borrow().is_empty(),
            Self::Record(_) | Self::Pointer(_) | Self::Duration(_) | Self::Time(_) | Self::Version(_) => true,
        }
    }

    /// What it points to in the end.
    pub(crate) fn indirect(&self) -> &Self {
        match self {
            Self::Pointer(to) => to.indirect(),
            _ => self,
        }
    }

    /// No value, or an empty interface.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// Its characters, if it is of a kind of string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Named(text, _) => Some(text),
            _ => None,
        }
    }

    /// Its elements, if it is a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(&list.items),
            Self::Nil(Type::List(_)) => Some(&[]),
            _ => None,
        }
    }

    /// A copy of its entries, if it is a map: what holds it may be changed meanwhile.
    pub(crate) fn entries(&self) -> Option<Entries> {
        match self {
            Self::Map(map) => Some(map.entries.borrow().clone()),
            Self::Nil(Type::Map(_)) => Some(Entries::new()),
            _ => None,
        }
    }
}

/// What values are made with: it counts what they cost, and takes them apart when the rendering is over. Maps may hold themselves, and
/// values may lie so deep in each other that dropping them one inside the other would overflow the stack.
pub(crate) struct Runtime<'a> {
    pub(crate) meter: Meter,
    /// The variables that the function `env` sees.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// Regular expressions by their patterns: compiling takes longest of all.
    pub(crate) regexes: RefCell<BTreeMap<String, Regex>>,
    lists: RefCell<Vec<Rc<List>>>,
    maps: RefCell<Vec<Rc<Map>>>,
}

impl<'a> Runtime<'a> {
    pub(crate) fn new(meter: Meter, environment: &'a BTreeMap<String, String>) -> Self {
        Self { meter, environment, regexes: RefCell::default(), lists: RefCell::default(), maps: RefCell::default() }
    }

    pub(crate) fn text(&self, text: impl Into<Rc<str>>) -> Outcome {
        let text = text.into();
        self.meter.bytes(text.len())?;
        Ok(Value::Text(text))
    }

    pub(crate) fn list(&self, of: Type, items: Vec<Value>) -> Outcome {
        self.meter.bytes(items.len() * size_of::<Value>() + size_of::<List>())?;
        self.meter.steps(items.len())?;
        let list = Rc::new(List { of, items });
        self.lists.borrow_mut().push(Rc::clone(&list));
        Ok(Value::List(list))
    }

    pub(crate) fn map(&self, of: Type, entries: Entries) -> Outcome {
        self.meter.bytes(entries.len() * 2 * size_of::<Value>() + size_of::<Map>())?;
        self.meter.steps(entries.len())?;
        let map = Rc::new(Map { of, entries: RefCell::new(entries) });
        self.maps.borrow_mut().push(Rc::clone(&map));
        Ok(Value::Map(map))
    }

    /// A list of strings.
    pub(crate) fn texts<S: Into<Rc<str>>>(&self, texts: impl IntoIterator<Item = S>) -> Outcome {
        let items = texts.into_iter().map(|text| self.text(text)).collect::<Result<_, _>>()?;
        self.list(Type::Text, items)
    }
}

impl Drop for Runtime<'_> {
    fn drop(&mut self) {
        // what the maps hold is still held by these lists of all, so nothing is dropped inside of anything
        for map in self.maps.borrow().iter() {
            map.entries.borrow_mut().clear();
        }
        // a list holds only older ones
        let lists = self.lists.get_mut();
        while lists.pop().is_some() {}
    }
}
