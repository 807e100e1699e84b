//! Other ways to write values: escapes, Base64, digests, JSON.

use std::fmt::Write;

use aws_lc_rs::digest;
use data_encoding::{BASE32, BASE64, Encoding};

use super::{Args, Fault, Outcome, Runtime, Value};
use crate::template::{format, json, unicode};

/// The arguments as text, as Go's escaping functions see them.
fn joined(runtime: &Runtime<'_>, args: &Args<'_>) -> Result<String, Fault> {
    let shown = |value: &Value| match value {
        Value::Missing | Value::Null => runtime.text("<no value>"),
        value => Ok(value.indirect().clone()),
    };
    let values = args.rest(0).iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    format::sprint(runtime, &values)
}

pub(super) fn html(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut out = String::new();
    for character in joined(runtime, args)?.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
    runtime.text(out)
}

pub(super) fn js(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut out = String::new();
    for character in joined(runtime, args)?.chars() {
        match character {
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(character);
            }
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", character as u32)),
            _ if character < ' ' => out.push_str(&format!("\\u{:04X}", character as u32)),
            _ if character.is_ascii() || unicode::is_printable(character) => out.push(character),
            _ => out.push_str(&format!("\\u{:04X}", character as u32)),
        }
    }
    runtime.text(out)
}

pub(super) fn urlquery(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut out = String::new();
    for byte in joined(runtime, args)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    runtime.text(out)
}

pub(super) fn b64enc(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(BASE64.encode(args.text(0)?.as_bytes()))
}

pub(super) fn b32enc(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(BASE32.encode(args.text(0)?.as_bytes()))
}

/// What cannot be decoded gives the words of the mistake as its value: so has sprig it.
pub(super) fn b64dec(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    decoded(runtime, &BASE64, args.text(0)?, |text| {
        format!("illegal base64 data at input byte {}", corrupt_base64(text))
    })
}

pub(super) fn b32dec(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(0)?.replace(['\r', '\n'], "");
    decoded(runtime, &BASE32, &text, |text| format!("illegal base32 data at input byte {}", corrupt_base32(text)))
}

fn decoded(runtime: &Runtime<'_>, encoding: &Encoding, text: &str, problem: impl Fn(&str) -> String) -> Outcome {
    let mut specification = encoding.specification();
    // as Go: line breaks count for nothing, nor do the bits behind the last byte
    specification.ignore.push_str("\r\n");
    specification.check_trailing_bits = false;
    let Ok(encoding) = specification.encoding() else { return Fault::said("the encoding is not supported") };
    match encoding.decode(text.as_bytes()) {
        Err(_) => runtime.text(problem(text)),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => runtime.text(text),
            Err(_) => Fault::said("the decoded bytes are no UTF-8 text, which values of templates are here"),
        },
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Where Go finds the mistake.
fn corrupt_base64(text: &str) -> usize {
    let bytes = text.as_bytes();
    let significant: Vec<usize> = (0..bytes.len()).filter(|at| !matches!(bytes[*at], b'\r' | b'\n')).collect();
    for (count, at) in significant.iter().enumerate() {
        let (in_group, next) = (count % 4, significant.get(count + 1));
        match bytes[*at] {
            byte if is_base64(byte) => {}
            b'=' if in_group == 2 => {
                return match next {
                    None => bytes.len(),
                    Some(next) if bytes[*next] != b'=' => next - 1,
                    Some(next) => next + 1,
                };
            }
            b'=' if in_group == 3 => return at + 1,
            _ => return *at,
        }
    }
    bytes.len() - significant.len() % 4
}

/// Where Go finds the mistake, in text without line breaks.
fn corrupt_base32(text: &str) -> usize {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let (in_group, left) = (at % 8, bytes.len() - at - 1);
        let padding = *byte == b'=' && in_group >= 2 && left < 8;
        if !padding {
            if !matches!(byte, b'A'..=b'Z' | b'2'..=b'7') {
                return at;
            }
            continue;
        }
        if left + in_group < 7 {
            return bytes.len();
        }
        let wrong = (0..7 - in_group).find(|offset| bytes.get(at + 1 + offset).is_some_and(|next| *next != b'='));
        return wrong.map_or(at, |offset| at + offset);
    }
    bytes.len() - bytes.len() % 8
}

fn hexadecimal(runtime: &Runtime<'_>, args: &Args<'_>, algorithm: &'static digest::Algorithm) -> Outcome {
    let digest = digest::digest(algorithm, args.text(0)?.as_bytes());
    runtime.text(data_encoding::HEXLOWER.encode(digest.as_ref()))
}

pub(super) fn sha1sum(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    hexadecimal(runtime, args, &digest::SHA1_FOR_LEGACY_USE_ONLY)
}

pub(super) fn sha256sum(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    hexadecimal(runtime, args, &digest::SHA256)
}

pub(super) fn sha512sum(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    hexadecimal(runtime, args, &digest::SHA512)
}

pub(super) fn adler32sum(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(adler2::adler32_slice(args.text(0)?.as_bytes()).to_string())
}

/// Text that is no JSON gives nil.
pub(super) fn from_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    unless_wrong(must_from_json(runtime, args), || Ok(Value::Null))
}

pub(super) fn must_from_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    json::decode(runtime, args.text(0)?)
}

/// A value that JSON cannot have gives nothing.
pub(super) fn to_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    unless_wrong(must_to_json(runtime, args), || runtime.text(""))
}

pub(super) fn must_to_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(json::encode(runtime, args.any(0), true)?)
}

pub(super) fn to_pretty_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    unless_wrong(must_to_pretty_json(runtime, args), || runtime.text(""))
}

pub(super) fn must_to_pretty_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(json::pretty(runtime, args.any(0))?)
}

/// Without escapes for HTML.
pub(super) fn to_raw_json(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(json::encode(runtime, args.any(0), false)?)
}

/// A mistake is replaced, a limit is not.
pub(super) fn unless_wrong(outcome: Outcome, otherwise: impl FnOnce() -> Outcome) -> Outcome {
    match outcome {
        Err(Fault::Said(_)) => otherwise(),
        outcome => outcome,
    }
}
