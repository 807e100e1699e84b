//! YAML (and so JSON) texts as documents, with the scalar rules of kubectl (`sigs.k8s.io/yaml`): plain `yes`, `no`, `on`, `off`,
//! `true` and `false` are booleans, `y`, `n` and dates are strings, a duplicate key is an error.
//!
//! Positions are looked up by a second pass when something has to be reported, so that good texts do not pay for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use names::Name;
use serde_json::{Map, Number, Value};

use crate::{Issue, Place, Severity};

/// A text and the file it is from.
#[derive(Debug)]
pub struct Source {
    file: Option<Name>,
    text: String,
    /// Of each document, once somebody asked.
    positions: OnceLock<Vec<Positions>>,
}

/// One document of a text.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Its first line, from 1.
    pub line: u32,
    number: usize,
    /// None when it is not from a text.
    source: Option<Arc<Source>>,
}

impl From<Value> for Document {
    /// A document that is from no text, as an API server gives it.
    fn from(value: Value) -> Self {
        Self { value, line: 0, number: 0, source: None }
    }
}

/// The documents of a text; empty ones are left out.
///
/// # Errors
/// When the text is not YAML: the issue names file, line and column and shows the line.
pub fn documents(text: &str, file: Option<&Name>) -> Result<Vec<Document>, Box<Issue>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let source = Arc::new(Source { file: file.cloned(), text: text.to_owned(), positions: OnceLock::new() });
    let parsed = Builder::new(&source.text, None).run().map_err(|error| Box::new(source.syntax(&error)))?;
    let found = parsed.into_iter().enumerate().filter(|(_, (value, _))| !value.is_null());
    Ok(found.map(|(number, (value, line))| Document { value, line, number, source: Some(source.clone()) }).collect())
}

/// What some editors put in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The documents of a text, each judged for itself: one that is not YAML is an issue and hides no other.
#[must_use]
pub fn each_document(text: &str, file: Option<&Name>) -> (Vec<Document>, Vec<Issue>) {
    let whole = match documents(text, file) {
        Ok(documents) => return (documents, Vec::new()),
        Err(issue) => issue,
    };
    let (mut found, mut issues) = (Vec::new(), Vec::new());
    for part in parts(text) {
        match part.documents(file) {
            Ok(documents) => found.extend(documents),
            Err(issue) => issues.push(*issue),
        }
    }
    // What is only wrong between the parts is still wrong.
    if issues.is_empty() {
        issues.push(*whole);
    }
    (found, issues)
}

/// A part of a text that begins where a document does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its bytes, with the line `---` that begins it.
    pub text: &'a str,
    /// Its first line, from 1.
    pub line: u32,
}

impl Part<'_> {
    /// The documents of the part; lines are counted from the beginning of the whole text.
    ///
    /// # Errors
    /// As [`documents`].
    pub fn documents(&self, file: Option<&Name>) -> Result<Vec<Document>, Box<Issue>> {
        let above = "\n".repeat(self.line.saturating_sub(1) as usize);
        documents(&(above + self.text), file)
    }
}

/// A text cut at the lines that begin documents; together the parts are the text.
#[must_use]
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut begun, mut line, mut at) = (Vec::new(), 0, 1, 0);
    for (index, each) in text.split_inclusive('\n').enumerate() {
        let begins =
            each.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if begins && index > 0 {
            parts.push(Part { text: &text[begun..at], line });
            (begun, line) = (at, number(index) + 1);
        }
        at += each.len();
    }
    parts.push(Part { text: &text[begun..], line });
    parts
}

impl Document {
    /// Where a field stands; for a field that is not there, where the nearest thing around it stands. None when there is no text.
    #[must_use]
    pub fn place(&self, path: &str) -> Option<Place> {
        let source = self.source.as_ref()?;
        let all = source.positions.get_or_init(|| {
            let mut all = Vec::new();
            // The text was parsed before; a second run cannot fail, and without positions the document's first line is right.
            let _ = Builder::new(&source.text, Some(&mut all)).run();
            all
        });
        let mut path = path;
        loop {
            if let Some((line, column)) = all.get(self.number).and_then(|positions| positions.get(path)) {
                return Some(source.place(*line, *column));
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return Some(source.place(self.line, 1)),
            }
        }
    }

    /// The file it is from.
    #[must_use]
    pub fn file(&self) -> Option<&Name> {
        self.source.as_ref()?.file.as_ref()
    }
}

/// So much of a line is shown: a document of JSON may be a single one.
const SHOWN: usize = 160;

impl Source {
    fn place(&self, line: u32, column: u32) -> Place {
        let text = self.text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        let at = column.saturating_sub(1) as usize;
        let (skipped, mark) = if at < SHOWN { (0, "") } else { (at - SHOWN / 2, "…") };
        let shown: String = mark.chars().chain(text.chars().skip(skipped).take(SHOWN)).collect();
        let gutter = line.to_string();
        let indent = gutter.len() + " | ".len() + mark.chars().count() + at - skipped;
        let snippet = format!("{gutter} | {shown}\n{:indent$}^", "");
        Place { file: self.file.clone(), line, column, snippet }
    }

    fn syntax(&self, error: &Error) -> Issue {
        Issue {
            code: "IST0106",
            severity: Severity::Error,
            object: None,
            path: String::new(),
            message: error.message.clone(),
            place: Some(self.place(error.line, error.column)),
        }
    }
}

struct Error {
    line: u32,
    column: u32,
    message: String,
}

impl Error {
    fn new(span: &Span, message: impl Into<String>) -> Self {
        let (line, column) = position(span);
        Self { line, column, message: message.into() }
    }
}

impl From<ScanError> for Error {
    fn from(error: ScanError) -> Self {
        let at = error.marker();
        Self { line: number(at.line()), column: number(at.col()) + 1, message: format!("not YAML: {}", error.info()) }
    }
}

fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn position(span: &Span) -> (u32, u32) {
    (number(span.start.line()), number(span.start.col()) + 1)
}

type Positions = HashMap<String, (u32, u32)>;

/// Aliases may multiply a text; more nodes than this are refused ("billion laughs").
const MOST_NODES: usize = 2_000_000;
/// Deeper nesting than this is refused.
const DEEPEST: usize = 200;

/// Makes values from parser events.
struct Builder<'a, 'p> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    record: Option<&'p mut Vec<Positions>>,
    document: usize,
    nodes: usize,
}

impl<'a, 'p> Builder<'a, 'p> {
    fn new(text: &'a str, record: Option<&'p mut Vec<Positions>>) -> Self {
        Self { parser: Parser::new_from_str(text), anchors: HashMap::new(), record, document: 0, nodes: 0 }
    }

    /// The documents and their first lines.
    fn run(mut self) -> Result<Vec<(Value, u32)>, Error> {
        let mut found = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentEnd => {
                    self.document += 1;
                    self.anchors.clear();
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) => {}
                event => {
                    let line = position(&span).0;
                    let value = self.node(event, &span, String::new(), 0)?;
                    found.push((value, line));
                }
            }
        }
        Ok(found)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Error> {
        loop {
            match self.parser.next().transpose()? {
                Some((Event::Comment(..) | Event::Anchor(..), _)) => {}
                other => return Ok(other),
            }
        }
    }

    fn child(&mut self, span: &Span) -> Result<(Event<'a>, Span), Error> {
        self.next()?.ok_or_else(|| Error::new(span, "not YAML: the text ends inside a value"))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, path: String, depth: usize) -> Result<Value, Error> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(Error::new(span, "the document is too large or too deep"));
        }
        if let Some(all) = &mut self.record {
            if all.len() <= self.document {
                all.resize_with(self.document + 1, Positions::new);
            }
            all[self.document].insert(path.clone(), position(span));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let string = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.to_string().ends_with("str"));
                let value = if string { Value::String(text.into_owned()) } else { scalar(text) };
                Ok(self.anchored(anchor, value))
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, at) = self.child(span)?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(event, &at, format!("{path}[{}]", items.len()), depth + 1)?);
                }
                Ok(self.anchored(anchor, Value::Array(items)))
            }
            Event::MappingStart(_, anchor, _) => {
                let map = self.mapping(span, &path, depth)?;
                Ok(self.anchored(anchor, Value::Object(map)))
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Value::Null);
                self.nodes += size(&value);
                Ok(value)
            }
            _ => Err(Error::new(span, "not YAML: a value is missing")),
        }
    }

    fn mapping(&mut self, span: &Span, path: &str, depth: usize) -> Result<Map<String, Value>, Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, at) = self.child(span)?;
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(Error::new(&at, "a key must be a string")),
            };
            let field = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let (event, value_at) = self.child(&at)?;
            let value = self.node(event, &value_at, field, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if map.insert(key.clone(), value).is_some() {
                return Err(Error::new(&at, format!("key {key:?} is there twice")));
            }
        }
        for value in merged.into_iter().flat_map(|value| if let Value::Array(all) = value { all } else { vec![value] })
        {
            let Value::Object(more) = value else { continue };
            for (key, value) in more {
                map.entry(key).or_insert(value);
            }
        }
        Ok(map)
    }

    fn anchored(&mut self, anchor: usize, value: Value) -> Value {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        value
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// A plain scalar by the rules of YAML 1.1 as kubectl applies them.
fn scalar(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    let looks_like_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if looks_like_number && let Some(number) = numeral(&text) {
        return Value::Number(number);
    }
    Value::String(text.into_owned())
}

fn numeral(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1i128, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok();
    let whole = if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        radix(octal, 8)
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        radix(&digits[1..], 8)
    } else if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        radix(digits, 10)
    } else {
        None
    };
    if let Some(whole) = whole {
        let whole = sign * whole;
        return i64::try_from(whole).map(Number::from).or_else(|_| u64::try_from(whole).map(Number::from)).ok();
    }
    let float = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !float || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    plain.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests;
