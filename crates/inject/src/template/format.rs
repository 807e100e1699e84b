//! `fmt` of Go: how values look as text, and `Printf` with its verbs and flags. What Go prints by address (a pointer inside of something)
//! has no address here and is printed as `0xc000000000`.

use std::fmt::Write;

use super::meter::Fault;
use super::shape::{self, Type, Whole};
use super::value::{Record, Runtime, Span, Value, Version};
use super::{dates, json, quote, versions};

mod directive;
pub(crate) mod float;
mod scalar;

/// `fmt.Sprint`: spaces between values of which neither is a string.
pub(crate) fn sprint(runtime: &Runtime<'_>, values: &[Value]) -> Result<String, Fault> {
    let mut printer = Printer::new(runtime);
    let mut after_text = false;
    for (index, value) in values.iter().enumerate() {
        let is_text = value.text().is_some();
        if index > 0 && !is_text && !after_text {
            printer.out.push(' ');
        }
        printer.value(value, 'v', 0)?;
        after_text = is_text;
    }
    printer.done()
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(runtime: &Runtime<'_>, values: &[Value]) -> Result<String, Fault> {
    let mut printer = Printer::new(runtime);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.out.push(' ');
        }
        printer.value(value, 'v', 0)?;
    }
    printer.out.push('\n');
    printer.done()
}

/// `fmt.Sprintf`.
pub(crate) fn sprintf(runtime: &Runtime<'_>, format: &str, values: &[Value]) -> Result<String, Fault> {
    let mut printer = Printer::new(runtime);
    directive::printf(&mut printer, format, values)?;
    printer.done()
}

/// `%v` of one value.
pub(crate) fn plain(runtime: &Runtime<'_>, value: &Value) -> Result<String, Fault> {
    sprint(runtime, std::slice::from_ref(value))
}

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`.
    plus_v: bool,
    /// `%#v`.
    sharp_v: bool,
}

struct Printer<'a> {
    runtime: &'a Runtime<'a>,
    out: String,
    flags: Flags,
    /// A verb was wrong: values are shown as they are, not by their method `String`.
    erroring: bool,
    /// What of the output is paid for.
    counted: usize,
}

impl<'a> Printer<'a> {
    fn new(runtime: &'a Runtime<'a>) -> Self {
        Self { runtime, out: String::new(), flags: Flags::default(), erroring: false, counted: 0 }
    }

    fn done(mut self) -> Result<String, Fault> {
        self.count()?;
        Ok(self.out)
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.runtime.meter.bytes(self.out.len() - self.counted)?;
        self.counted = self.out.len();
        Ok(())
    }

    /// A value by a verb; `depth` is how deep it lies in the value that is printed.
    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Fault> {
        self.runtime.meter.nested(depth)?;
        self.count()?;
        if depth == 0 && verb == 'T' {
            self.text(&value.type_name(), 's');
            return Ok(());
        }
        if let Some(text) = self.stringer(value, verb)? {
            self.text(&text, verb);
            return Ok(());
        }
        match value {
            Value::Missing | Value::Null => self.nothing(verb, depth)?,
            Value::Nil(of) => self.nil(of, verb)?,
            Value::Bool(on) => match verb {
                't' | 'v' => self.pad(if *on { "true" } else { "false" }),
                _ => self.bad_verb(value, verb)?,
            },
            Value::Whole(number, whole) => self.whole(value, *number, !whole.is_signed(), verb)?,
            Value::Enum(number, _) => self.whole(value, i128::from(*number), false, verb)?,
            Value::Float(number) => self.float(value, *number, verb)?,
            Value::Text(text) | Value::Named(text, _) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => self.text(text, verb),
                _ => self.bad_verb(value, verb)?,
            },
            Value::List(list) => self.list(&Type::list(list.of.clone()), &list.items, verb, depth)?,
            Value::Map(map) => {
                let entries = map.entries.borrow();
                let of = Type::map(map.of.clone());
                self.map(&of, entries.iter(), verb, depth)?;
            }
            Value::Record(record) => self.record(record, verb, depth)?,
            Value::Pointer(to) => match to.indirect() {
                inner @ (Value::List(_) | Value::Map(_) | Value::Record(_)) if depth == 0 => {
                    self.out.push('&');
                    self.value(inner, verb, 1)?;
                }
                _ => self.pad("0xc000000000"),
            },
            Value::Duration(span) => {
                let text = written_span(*span);
                self.text(&text, 'v');
            }
            Value::Version(version) => self.version(version, verb, depth)?,
            Value::Time(_) => self.bad_verb(value, verb)?,
        }
        Ok(())
    }

    /// The text of values that have a method `String`, for the verbs that ask for it.
    fn stringer(&self, value: &Value, verb: char) -> Result<Option<String>, Fault> {
        if self.erroring || self.flags.sharp_v || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return Ok(None);
        }
        Ok(match value {
            Value::Enum(number, name) => Some(shape::enumeration(name).written(*number)),
            Value::Time(time) => Some(dates::written(time)),
            Value::Version(version) => Some(versions::written(version)),
            Value::Duration(span) => Some(written_span(*span)),
            // a struct of Kubernetes says so itself
            Value::Nil(Type::Pointer(to)) if matches!(&**to, Type::Record(name) if !shape::of(name).message) => {
                Some("nil".to_owned())
            }
            Value::Named(text, "v1.Time") => Some(moment(text)),
            Value::Named(text, "resource.Quantity") if text.is_empty() => Some("0".to_owned()),
            Value::Record(record) if record.shape.name == "intstr.IntOrString" => Some(int_or_string(record)),
            Value::Record(record) if record.shape.name == "types.NamespacedName" => Some(namespaced(record)),
            Value::Record(record) if record.shape.name.starts_with("wrapperspb.") => {
                Some(wrapped(self.runtime, record)?)
            }
            Value::Record(record) if record.shape.message => Some(json::message(self.runtime, value, 0)?),
            Value::Pointer(to) if matches!(to.indirect(), Value::Record(_)) => self.stringer(to.indirect(), verb)?,
            _ => None,
        })
    }

    fn nothing(&mut self, verb: char, depth: usize) -> Result<(), Fault> {
        match verb {
            'v' if depth > 0 && self.flags.sharp_v => self.out.push_str("interface {}(nil)"),
            'v' if depth > 0 => self.out.push_str("<nil>"),
            'v' => self.pad("<nil>"),
            _ if depth > 0 => self.out.push_str("<nil>"),
            _ => {
                let _ = write!(self.out, "%!{verb}(<nil>)");
            }
        }
        Ok(())
    }

    fn nil(&mut self, of: &Type, verb: char) -> Result<(), Fault> {
        match of {
            Type::List(_) | Type::Map(_) if self.flags.sharp_v => {
                let _ = write!(self.out, "{}(nil)", of.name());
            }
            Type::List(_) => self.out.push_str("[]"),
            Type::Map(_) => self.out.push_str("map[]"),
            _ => match verb {
                'v' if self.flags.sharp_v => {
                    let _ = write!(self.out, "({})(nil)", of.name());
                }
                'v' => self.pad("<nil>"),
                's' | 'q' | 't' => {
                    let _ = write!(self.out, "%!{verb}({}=<nil>)", of.name());
                }
                _ => self.pad("0"),
            },
        }
        Ok(())
    }

    fn list(&mut self, of: &Type, items: &[Value], verb: char, depth: usize) -> Result<(), Fault> {
        let go = self.flags.sharp_v;
        if go {
            self.out.push_str(&of.name());
        }
        self.out.push(if go { '{' } else { '[' });
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(if go { ", " } else { " " });
            }
            self.value(item, verb, depth + 1)?;
        }
        self.out.push(if go { '}' } else { ']' });
        Ok(())
    }

    fn map<'e>(
        &mut self,
        of: &Type,
        entries: impl Iterator<Item = (&'e std::rc::Rc<str>, &'e Value)>,
        verb: char,
        depth: usize,
    ) -> Result<(), Fault> {
        let go = self.flags.sharp_v;
        if go {
            self.out.push_str(&of.name());
        }
        self.out.push_str(if go { "{" } else { "map[" });
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.out.push_str(if go { ", " } else { " " });
            }
            self.value(&Value::Text(key.clone()), verb, depth + 1)?;
            self.out.push(':');
            self.value(value, verb, depth + 1)?;
        }
        self.out.push(if go { '}' } else { ']' });
        Ok(())
    }

    fn record(&mut self, record: &Record, verb: char, depth: usize) -> Result<(), Fault> {
        let (go, names) = (self.flags.sharp_v, self.flags.sharp_v || self.flags.plus_v);
        if go {
            self.out.push_str(record.shape.name);
        }
        self.out.push('{');
        for (index, field) in record.shape.fields.iter().enumerate() {
            if index > 0 {
                self.out.push_str(if go { ", " } else { " " });
            }
            if names {
                self.out.push_str(field.name);
                self.out.push(':');
            }
            self.value(&record.at(index), verb, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// A version by a verb that does not ask for its text: the fields that Go's has.
    fn version(&mut self, version: &Version, verb: char, depth: usize) -> Result<(), Fault> {
        if depth > 0 {
            self.pad("0xc000000000");
            return Ok(());
        }
        let go = self.flags.sharp_v;
        self.out.push_str(if go { "&semver.Version{" } else { "&{" });
        let numbers = version.numbers.map(|number| Value::Whole(i128::from(number), Whole::Uint64));
        let texts = [&version.pre, &version.metadata, &version.original].map(|text| Value::Text(text.as_str().into()));
        let names = ["major", "minor", "patch", "pre", "metadata", "original"];
        for (index, (name, value)) in names.iter().zip(numbers.iter().chain(&texts)).enumerate() {
            if index > 0 {
                self.out.push_str(if go { ", " } else { " " });
            }
            if go || self.flags.plus_v {
                self.out.push_str(name);
                self.out.push(':');
            }
            self.value(value, verb, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// What Go writes for a verb that the type does not have.
    fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), Fault> {
        if value.is_nothing() {
            let _ = write!(self.out, "%!{verb}(<nil>)");
            return Ok(());
        }
        let _ = write!(self.out, "%!{verb}({}=", value.type_name());
        let before = std::mem::replace(&mut self.erroring, true);
        let shown = match value {
            // what is in a date is not for showing
            Value::Time(_) => {
                self.out.push_str("...");
                Ok(())
            }
            _ => self.value(value, 'v', 0),
        };
        self.erroring = before;
        self.out.push(')');
        shown
    }

    /// Text in the width that was asked for.
    fn pad(&mut self, text: &str) {
        let missing = self.flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.flags.minus {
            self.out.push_str(text);
            self.out.extend(std::iter::repeat_n(' ', missing));
        } else {
            self.out.extend(std::iter::repeat_n(if self.flags.zero { '0' } else { ' ' }, missing));
            self.out.push_str(text);
        }
    }
}

/// A moment of Kubernetes; the beginning of time where there is none.
fn moment(text: &str) -> String {
    match (text.is_empty(), dates::parse("2006-01-02T15:04:05Z07:00", text)) {
        (false, Ok(time)) => dates::written(&time),
        (false, Err(_)) => text.to_owned(),
        (true, _) => "0001-01-01 00:00:00 +0000 UTC".to_owned(),
    }
}

/// `namespace/name`.
fn namespaced(record: &Record) -> String {
    let part = |name: &str| record.get(name).and_then(|part| part.text().map(str::to_owned)).unwrap_or_default();
    format!("{}/{}", part("Namespace"), part("Name"))
}

/// Protobuf's text form of a message around one value.
fn wrapped(runtime: &Runtime<'_>, record: &Record) -> Result<String, Fault> {
    match record.at(0) {
        value if !value.truth() => Ok(String::new()),
        Value::Text(text) => Ok(format!("value:{}", quote::quote(&text))),
        value => Ok(format!("value:{}", plain(runtime, &value)?)),
    }
}

/// Protobuf's text form of a duration.
fn written_span(span: Span) -> String {
    match (span.seconds, span.nanos) {
        (0, 0) => String::new(),
        (seconds, 0) => format!("seconds:{seconds}"),
        (0, nanos) => format!("nanos:{nanos}"),
        (seconds, nanos) => format!("seconds:{seconds} nanos:{nanos}"),
    }
}

/// A port by its number or its name.
pub(crate) fn int_or_string(record: &Record) -> String {
    match (record.get("Type"), record.get("IntVal"), record.get("StrVal")) {
        (Some(Value::Whole(0, _)), Some(Value::Whole(number, _)), _) => number.to_string(),
        (_, _, Some(text)) => text.text().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
