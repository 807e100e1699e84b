//! Strings: parts of them, what is put around them, and lists of them.

use std::rc::Rc;

use super::conversions::{strings, text_of};
use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::value::Entries;
use crate::template::{format, quote as quoting, unicode};

pub(super) fn hello(runtime: &Runtime<'_>, _: &Args<'_>) -> Outcome {
    runtime.text("Hello!")
}

/// A part of a string by bytes. Go would cut a character into bytes that are no text; here that is a mistake.
pub(super) fn part(text: &str, start: usize, end: usize) -> Result<&str, Fault> {
    match text.get(start..end) {
        Some(part) => Ok(part),
        None => {
            Fault::said(format!("cuts a character of {} in two between bytes {start} and {end}", quoting::quote(text)))
        }
    }
}

pub(super) fn abbrev(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (width, text) = (args.int(0)?, args.text(1)?);
    runtime.text(if width < 4 { text.to_owned() } else { abbreviated(text, 0, width)? })
}

pub(super) fn abbrevboth(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (left, right, text) = (args.int(0)?, args.int(1)?, args.text(2)?);
    let short = right < 4 || left > 0 && right < 7;
    runtime.text(if short { text.to_owned() } else { abbreviated(text, left, right)? })
}

/// With `...` for what does not fit into the width; what stands at the offset is kept.
fn abbreviated(text: &str, offset: i64, width: i64) -> Result<String, Fault> {
    let length = text.len() as i64;
    if length <= width {
        return Ok(text.to_owned());
    }
    let keep = width - 3;
    let mut offset = offset.min(length);
    if length - offset < keep {
        offset = length - keep;
    }
    if offset <= 4 {
        return Ok(format!("{}...", part(text, 0, keep as usize)?));
    }
    if width < 7 {
        return Ok(String::new());
    }
    if offset + keep < length {
        let rest = part(text, offset as usize, text.len())?;
        return Ok(format!("...{}", if keep < 4 { String::new() } else { abbreviated(rest, 0, keep)? }));
    }
    Ok(format!("...{}", part(text, (length - keep) as usize, text.len())?))
}

pub(super) fn trunc(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (count, text) = (args.int(0)?, args.text(1)?);
    let length = text.len() as i64;
    runtime.text(if count < 0 && length.saturating_add(count) > 0 {
        part(text, (length + count) as usize, text.len())?
    } else if count >= 0 && length > count {
        part(text, 0, count as usize)?
    } else {
        text
    })
}

pub(super) fn substr(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (start, end, text) = (args.int(0)?, args.int(1)?, args.text(2)?);
    let length = text.len() as i64;
    let (start, end) = match (start, end) {
        (..0, _) => (0, end),
        _ if end < 0 || end > length => (start, length),
        _ => (start, end),
    };
    let problem = if end < 0 || end > length {
        format!(
            "runtime error: slice bounds out of range [:{end}]{}",
            if end < 0 { String::new() } else { format!(" with length {length}") }
        )
    } else if start > end {
        format!("runtime error: slice bounds out of range [{start}:{end}]")
    } else {
        return runtime.text(part(text, start as usize, end as usize)?);
    };
    Fault::said(problem)
}

pub(super) fn trim(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(args.text(0)?.trim_matches(unicode::is_space))
}

pub(super) fn upper(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(args.text(0)?.chars().map(unicode::to_upper).collect::<String>())
}

pub(super) fn lower(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(args.text(0)?.chars().map(unicode::to_lower).collect::<String>())
}

pub(super) fn repeat(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(1)?;
    let Ok(count) = usize::try_from(args.int(0)?) else { return Fault::said("strings: negative Repeat count") };
    // before it is made
    runtime.meter.bytes(text.len().saturating_mul(count))?;
    runtime.text(text.repeat(count))
}

pub(super) fn trim_all(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let set: Vec<char> = args.text(0)?.chars().collect();
    runtime.meter.bytes(set.len().saturating_mul(args.text(1)?.len()))?;
    runtime.text(args.text(1)?.trim_matches(set.as_slice()))
}

pub(super) fn trim_suffix(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(1)?;
    runtime.text(text.strip_suffix(args.text(0)?).unwrap_or(text))
}

pub(super) fn trim_prefix(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(1)?;
    runtime.text(text.strip_prefix(args.text(0)?).unwrap_or(text))
}

pub(super) fn has_prefix(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.text(1)?.starts_with(args.text(0)?)))
}

pub(super) fn has_suffix(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.text(1)?.ends_with(args.text(0)?)))
}

/// The needle comes first, in sprig as in Istio.
pub(super) fn contains(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.text(1)?.contains(args.text(0)?)))
}

pub(super) fn quote(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut parts = Vec::new();
    for value in args.rest(0).iter().filter(|value| !value.is_nothing()) {
        parts.push(quoting::quote(&text_of(runtime, value)?));
    }
    runtime.text(parts.join(" "))
}

pub(super) fn squote(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut parts = Vec::new();
    for value in args.rest(0).iter().filter(|value| !value.is_nothing()) {
        parts.push(format!("'{}'", format::plain(runtime, value)?));
    }
    runtime.text(parts.join(" "))
}

pub(super) fn cat(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut parts = Vec::new();
    for value in args.rest(0).iter().filter(|value| !value.is_nothing()) {
        parts.push(format::plain(runtime, value)?);
    }
    runtime.text(parts.join(" "))
}

pub(super) fn nindent(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(1)?;
    let Ok(spaces) = usize::try_from(args.int(0)?) else { return Fault::said("strings: negative Repeat count") };
    let lines = 1 + text.matches('\n').count();
    runtime.meter.bytes(spaces.saturating_mul(lines))?;
    let pad = format!("\n{}", " ".repeat(spaces));
    runtime.text(format!("{pad}{}", text.replace('\n', &pad)))
}

pub(super) fn replace(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (old, new, text) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let count = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    runtime.meter.bytes(count.saturating_mul(new.len()))?;
    runtime.text(text.replace(old, new))
}

pub(super) fn plural(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(args.any(if args.int(2)? == 1 { 0 } else { 1 }).clone())
}

pub(super) fn fail(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Fault::said(args.text(0)?)
}

/// `strings.Split`: an empty separator gives the characters.
fn parts<'t>(runtime: &Runtime<'_>, text: &'t str, separator: &str) -> Result<Vec<&'t str>, Fault> {
    let count = if separator.is_empty() { text.len() } else { text.matches(separator).count() };
    runtime.meter.bytes(count.saturating_mul(size_of::<&str>()))?;
    if separator.is_empty() {
        let ends = text.char_indices().map(|(at, character)| &text[at..at + character.len_utf8()]);
        return Ok(ends.collect());
    }
    Ok(text.split(separator).collect())
}

pub(super) fn split_list(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.texts(parts(runtime, args.text(1)?, args.text(0)?)?)
}

/// A map with the keys `_0`, `_1` and so on.
fn numbered(runtime: &Runtime<'_>, parts: &[&str]) -> Outcome {
    let mut entries = Entries::new();
    for (index, part) in parts.iter().enumerate() {
        entries.insert(Rc::from(format!("_{index}")), runtime.text(*part)?);
    }
    runtime.map(Type::Text, entries)
}

pub(super) fn split(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    numbered(runtime, &parts(runtime, args.text(1)?, args.text(0)?)?)
}

pub(super) fn splitn(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (separator, count, text) = (args.text(0)?, args.int(1)?, args.text(2)?);
    let all = parts(runtime, text, separator)?;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    if all.len() <= most || most == 0 {
        return numbered(runtime, if most == 0 { &[] } else { &all });
    }
    // what follows the parts that are asked for stays one
    let before: usize = all[..most - 1].iter().map(|part| part.len() + separator.len()).sum();
    let mut some = all[..most - 1].to_vec();
    some.push(&text[before..]);
    numbered(runtime, &some)
}

pub(super) fn join(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let separator = args.text(0)?;
    let parts = strings(runtime, args.any(1))?;
    runtime.meter.bytes(parts.len().saturating_mul(separator.len()))?;
    runtime.text(parts.join(separator))
}
