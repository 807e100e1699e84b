//! Regular expressions in the syntax of Go's `regexp`. It and that of the crate `regex` are alike; where they differ, a pattern is
//! rewritten first: Go's classes such as `\w` are ASCII, and in Go a class has no classes and no operators in it.

use regex::{Regex, RegexBuilder};

use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::quote::quote;

/// Go takes more for a mistake.
const REPEATS: u32 = 1000;

/// What compiling one costs, in bytes.
const COMPILING: usize = 128 << 10;

/// A pattern, ready to search text with.
struct Search<'t> {
    runtime: &'t Runtime<'t>,
    regex: Regex,
    text: &'t str,
    /// What reading a byte of text costs more than in other functions.
    weight: usize,
}

impl<'t> Search<'t> {
    fn new(runtime: &'t Runtime<'t>, pattern: &str, text: &'t str) -> Result<Self, Fault> {
        let weight = 4 + pattern.len() / 4;
        runtime.meter.bytes(text.len().saturating_mul(weight))?;
        let known = runtime.regexes.borrow().get(pattern).cloned();
        let regex = match known {
            Some(regex) => regex,
            None => {
                let regex = compile(runtime, pattern)?;
                runtime.regexes.borrow_mut().insert(pattern.to_owned(), regex.clone());
                regex
            }
        };
        Ok(Self { runtime, regex, text, weight })
    }

    /// A match was found: the search for the next one may look through all the rest.
    fn count(&self, start: usize) -> Result<(), Fault> {
        let rest = self.text.len() - start;
        self.runtime.meter.bytes(rest.saturating_mul(self.weight) / 16 + size_of::<&str>())
    }

    /// Start and end of the first matches.
    fn matches(&self, most: usize) -> Result<Vec<(usize, usize)>, Fault> {
        let mut found = Vec::new();
        for one in self.regex.find_iter(self.text).take(most) {
            self.count(one.start())?;
            found.push((one.start(), one.end()));
        }
        Ok(found)
    }
}

fn compile(runtime: &Runtime<'_>, pattern: &str) -> Result<Regex, Fault> {
    runtime.meter.bytes(COMPILING)?;
    let rewritten = match rewrite(pattern) {
        Ok(rewritten) => rewritten,
        Err(reason) => return Fault::said(unparsed(pattern, &reason)),
    };
    let most = runtime.meter.regex();
    match RegexBuilder::new(&rewritten).size_limit(most).dfa_size_limit(most).build() {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(limit)) => {
            Err(Fault::Over(format!("has a regular expression that needs more than {limit} bytes: {}", quote(pattern))))
        }
        Err(error) => {
            let reason = error.to_string();
            Fault::said(unparsed(pattern, reason.lines().last().unwrap_or_default().trim_start_matches("error: ")))
        }
    }
}

fn unparsed(pattern: &str, reason: &str) -> String {
    format!("regexp: Compile(`{pattern}`): error parsing regexp: {reason}")
}

/// A pattern of Go as one of the crate `regex`.
fn rewrite(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // how long the repetition is that ends here
    let mut repeated = 0;
    while let Some(next) = rest.chars().next() {
        if let Some(length) = repetition(rest)? {
            if repeated > 0 {
                let start = pattern.len() - rest.len() - repeated;
                let both = &pattern[start..start + repeated + length];
                return Err(format!("invalid nested repetition operator: `{both}`"));
            }
            let lazy = usize::from(rest[length..].starts_with('?'));
            repeated = length + lazy;
            out.push_str(&rest[..repeated]);
            rest = &rest[repeated..];
            continue;
        }
        repeated = 0;
        rest = match next {
            '\\' => escape(&mut out, rest, false),
            '[' => class(&mut out, rest),
            // braces that are no repetition stand for themselves
            '{' | '}' => {
                out.push('\\');
                out.push(next);
                &rest[1..]
            }
            _ => {
                out.push(next);
                &rest[next.len_utf8()..]
            }
        };
    }
    Ok(out)
}

/// The length of the operator of a repetition that begins here.
fn repetition(text: &str) -> Result<Option<usize>, String> {
    if text.starts_with(['*', '+', '?']) {
        return Ok(Some(1));
    }
    let Some((range, _)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return Ok(None) };
    let (least, most) = range.split_once(',').unwrap_or((range, range));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(least) || !(most.is_empty() || is_number(most)) {
        return Ok(None);
    }
    let count = |digits: &str| digits.parse::<u32>().unwrap_or(u32::MAX);
    if count(least) > REPEATS || !most.is_empty() && (count(most) > REPEATS || count(least) > count(most)) {
        return Err(format!("invalid repeat count: `{{{range}}}`"));
    }
    Ok(Some(range.len() + 2))
}

/// What follows a backslash. Gives the rest.
fn escape<'p>(out: &mut String, text: &'p str, in_class: bool) -> &'p str {
    let Some(kind) = text.chars().nth(1) else {
        out.push('\\');
        return "";
    };
    let rest = &text[1 + kind.len_utf8()..];
    let members = match kind {
        'd' => Some(("", r"0-9")),
        'D' => Some(("^", r"0-9")),
        'w' => Some(("", r"0-9A-Za-z_")),
        'W' => Some(("^", r"0-9A-Za-z_")),
        's' => Some(("", r"\t\n\x0C\r ")),
        'S' => Some(("^", r"\t\n\x0C\r ")),
        _ => None,
    };
    match (kind, members) {
        // a class in a class is a part of it
        (_, Some((not, members))) => out.push_str(&format!("[{not}{members}]")),
        ('b' | 'B', None) if !in_class => out.push_str(&format!(r"(?-u:\{kind})")),
        ('Q', None) if !in_class => {
            let (literal, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            return rest;
        }
        ('0'..='7', None) => {
            let digits = rest.bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            if kind != '0' && digits == 0 {
                out.push_str(&format!("\\{kind}"));
                return rest;
            }
            let number = u32::from_str_radix(&text[1..2 + digits], 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{number:X}}}"));
            return &rest[digits..];
        }
        ('p' | 'P' | 'x', None) if rest.starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            out.push_str(&text[..2 + end]);
            return &rest[end..];
        }
        _ => {
            out.push('\\');
            out.push(kind);
        }
    }
    rest
}

/// A class, from its bracket. Gives the rest.
fn class<'p>(out: &mut String, text: &'p str) -> &'p str {
    out.push('[');
    let mut rest = &text[1..];
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // a bracket that comes first is a member
    let mut first = true;
    while let Some(next) = rest.chars().next() {
        match next {
            ']' if !first => {
                out.push(']');
                return &rest[1..];
            }
            '\\' => {
                rest = escape(out, rest, true);
                first = false;
                continue;
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let end = rest.find(":]").map_or(rest.len(), |end| end + 2);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                first = false;
                continue;
            }
            ']' | '[' | '&' | '~' => {
                out.push('\\');
                out.push(next);
            }
            _ => out.push(next),
        }
        first = false;
        rest = &rest[next.len_utf8()..];
    }
    ""
}

pub(super) fn must_match(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let search = Search::new(runtime, args.text(0)?, args.text(1)?)?;
    Ok(Value::Bool(search.regex.is_match(search.text)))
}

/// A pattern that is none matches nothing.
pub(super) fn matches(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    super::encoding::unless_wrong(must_match(runtime, args), || Ok(Value::Bool(false)))
}

pub(super) fn find(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let search = Search::new(runtime, args.text(0)?, args.text(1)?)?;
    runtime.text(search.regex.find(search.text).map_or("", |found| found.as_str()))
}

pub(super) fn find_all(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let search = Search::new(runtime, args.text(0)?, args.text(1)?)?;
    let found = search.matches(usize::try_from(args.int(2)?).unwrap_or(usize::MAX))?;
    if found.is_empty() {
        return Ok(Value::Nil(Type::list(Type::Text)));
    }
    runtime.texts(found.into_iter().map(|(start, end)| &search.text[start..end]))
}

pub(super) fn replace_all(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let with = args.text(2)?;
    let search = Search::new(runtime, args.text(0)?, args.text(1)?)?;
    let mut out = String::new();
    let mut end = 0;
    for found in search.regex.captures_iter(search.text) {
        let Some(whole) = found.get(0) else { continue };
        search.count(whole.start())?;
        out.push_str(&search.text[end..whole.start()]);
        let before = out.len();
        found.expand(with, &mut out);
        runtime.meter.bytes(out.len() - before)?;
        end = whole.end();
    }
    out.push_str(&search.text[end..]);
    runtime.text(out)
}

pub(super) fn replace_all_literal(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let with = args.text(2)?;
    let search = Search::new(runtime, args.text(0)?, args.text(1)?)?;
    let mut out = String::new();
    let mut last = 0;
    for (start, end) in search.matches(usize::MAX)? {
        runtime.meter.bytes(with.len())?;
        out.push_str(&search.text[last..start]);
        out.push_str(with);
        last = end;
    }
    out.push_str(&search.text[last..]);
    runtime.text(out)
}

pub(super) fn split(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (pattern, text, count) = (args.text(0)?, args.text(1)?, args.int(2)?);
    let search = Search::new(runtime, pattern, text)?;
    if count == 0 {
        return Ok(Value::Nil(Type::list(Type::Text)));
    }
    if !pattern.is_empty() && text.is_empty() {
        return runtime.texts([""]);
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (start, stop) in search.matches(usize::MAX)? {
        if parts.len() == most - 1 {
            break;
        }
        end = start;
        if stop != 0 {
            parts.push(&text[begin..end]);
        }
        begin = stop;
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    runtime.texts(parts)
}

pub(super) fn quote_meta(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut out = String::new();
    for character in args.text(0)?.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    runtime.text(out)
}

#[cfg(test)]
mod tests;
