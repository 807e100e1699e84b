//! Strings and characters as Go writes and reads them in source.

use super::unicode;

/// A string between double quotes, with what cannot be printed escaped.
pub(crate) fn quote(text: &str) -> String {
    with(text, '"', false)
}

/// A string between quotes of the given kind, with ASCII only if asked for.
pub(crate) fn with(text: &str, quote: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        escape(&mut out, character, quote, ascii);
    }
    out.push(quote);
    out
}

fn escape(out: &mut String, character: char, quote: char, ascii: bool) {
    let plain = unicode::is_printable(character) && (character.is_ascii() || !ascii);
    match character {
        _ if character == quote || character == '\\' => {
            out.push('\\');
            out.push(character);
        }
        _ if plain => out.push(character),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        _ if character < ' ' || character == '\u{7f}' => out.push_str(&format!("\\x{:02x}", character as u32)),
        _ if (character as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", character as u32)),
        _ => out.push_str(&format!("\\U{:08x}", character as u32)),
    }
}

/// Whether a string can stand between backquotes as it is.
pub(crate) fn fits_backquotes(text: &str) -> bool {
    text.chars().all(|character| match character {
        '\u{feff}' | '`' | '\u{7f}' => false,
        _ => character >= ' ' || character == '\t',
    })
}

/// The value of a quoted string, with its quotes; none if it is not one of Go.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    match quoted.chars().next()? {
        '`' => Some(inner.replace('\r', "")),
        '"' => {
            let mut bytes = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                let (part, left) = unescape(rest, '"')?;
                match part {
                    Part::Char(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                    Part::Byte(byte) => bytes.push(byte),
                }
                rest = left;
            }
            String::from_utf8(bytes).ok()
        }
        _ => None,
    }
}

/// The value of a character constant, with its quotes.
pub(crate) fn unquote_char(quoted: &str) -> Option<u32> {
    let inner = quoted.strip_prefix('\'')?;
    let (part, rest) = unescape(inner, '\'')?;
    if rest != "'" {
        return None;
    }
    Some(match part {
        Part::Char(character) => character as u32,
        Part::Byte(byte) => u32::from(byte),
    })
}

enum Part {
    Char(char),
    /// From `\xff` or `\377`: a byte of a string.
    Byte(u8),
}

/// The first character of what stands between quotes, and the rest.
fn unescape(text: &str, quote: char) -> Option<(Part, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Part::Char(first), characters.as_str()));
    }
    let kind = characters.next()?;
    let rest = characters.as_str();
    let simple = match kind {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '\'' | '"' if kind == quote => kind,
        'x' => {
            return digits(rest, 2, 16).and_then(|(value, rest)| Some((Part::Byte(u8::try_from(value).ok()?), rest)));
        }
        'u' => return digits(rest, 4, 16).and_then(|(value, rest)| Some((Part::Char(char::from_u32(value)?), rest))),
        'U' => return digits(rest, 8, 16).and_then(|(value, rest)| Some((Part::Char(char::from_u32(value)?), rest))),
        '0'..='7' => {
            let (value, rest) = digits(&text[1..], 3, 8)?;
            return Some((Part::Byte(u8::try_from(value).ok()?), rest));
        }
        _ => return None,
    };
    Some((Part::Char(simple), rest))
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let digits = text.get(..count)?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some((u32::from_str_radix(digits, radix).ok()?, &text[count..]))
}
