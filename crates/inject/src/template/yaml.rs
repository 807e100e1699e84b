//! YAML as `sigs.k8s.io/yaml` writes it: keys sorted so that numbers in them count, strings quoted that would otherwise be read as
//! something else, lines folded after 80 columns. What the template prints with `toYaml` is read again as YAML, and compared by people with
//! what istiod printed, so the text is the same to the byte.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::format::float;
use super::{dates, number, unicode};

mod emit;

/// JSON as YAML; none where it has characters that YAML cannot have.
pub(crate) fn written(json: &Json) -> Option<String> {
    written_within(json, usize::MAX)
}

/// The same of at most so many bytes: more is cut off.
pub(crate) fn written_within(json: &Json, most: usize) -> Option<String> {
    if !is_allowed(json) {
        return None;
    }
    let mut emitter = emit::Emitter::new(most);
    emitter.document(json);
    Some(emitter.out)
}

fn is_allowed(json: &Json) -> bool {
    match json {
        Json::String(text) => fits(text),
        Json::Array(items) => items.iter().all(is_allowed),
        Json::Object(object) => object.iter().all(|(key, value)| fits(key) && is_allowed(value)),
        _ => true,
    }
}

fn fits(text: &str) -> bool {
    !text.contains(|c| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
}

/// A scalar that is no string, as plain text.
fn plain(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(on) => on.to_string(),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (None, None, Some(0.0)) => "0".to_owned(),
            (None, None, Some(float)) => float::format(float, 'g', None),
            _ => number.to_string(),
        },
        _ => String::new(),
    }
}

/// Whether a string without quotes would be read as a string again.
fn is_plain_text(text: &str) -> bool {
    !is_other(text) && !is_base60(text)
}

const WORDS: &[&str] = &[
    "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N",
    "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF",
    "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

static FLOAT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());
static BASE60: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());

const TIMES: &[&str] =
    &["2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999", "2006-1-2"];

/// Whether YAML 1.1 reads it as null, a boolean, a number or a time.
fn is_other(text: &str) -> bool {
    if WORDS.contains(&text) {
        return true;
    }
    match text.as_bytes().first() {
        Some(b'.') => number::parse_float(text).is_some(),
        Some(b'+' | b'-' | b'0'..=b'9') => is_time(text) || is_number(&text.replace('_', "")),
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    number::parse_int(text, 0).is_some()
        || number::parse_uint(text, 0).is_some()
        || FLOAT.as_ref().is_some_and(|float| float.is_match(text)) && number::parse_float(text).is_some()
}

fn is_time(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4
        && text.as_bytes().get(4) == Some(&b'-')
        && TIMES.iter().any(|layout| dates::parse(layout, text).is_ok())
}

fn is_base60(text: &str) -> bool {
    text.contains(':') && BASE60.as_ref().is_some_and(|base60| base60.is_match(text))
}

/// The order of keys: letters after everything else, digits by the number they make.
fn by_key(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    match (unicode::is_letter(a[at]), unicode::is_letter(b[at])) {
        (true, true) => return a[at].cmp(&b[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // a zero that differs from another digit continues the number before it
    let continued = (a[at] == '0' || b[at] == '0')
        && a[..at].iter().rev().take_while(|digit| unicode::is_digit(**digit)).any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let digits = text[at..].iter().take_while(|digit| unicode::is_digit(**digit));
        let value = |number: i64, digit: &char| {
            number.wrapping_mul(10).wrapping_add(i64::from(*digit as u32) - i64::from(b'0'))
        };
        (digits.clone().fold(i64::from(continued), value), digits.count())
    };
    number(&a).cmp(&number(&b)).then(a[at].cmp(&b[at]))
}
