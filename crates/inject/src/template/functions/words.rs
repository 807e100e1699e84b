//! Words in strings: their case, their borders, and lines of them.

use super::strings::part;
use super::{Args, Fault, Outcome, Runtime};
use crate::template::unicode::{
    is_digit, is_letter, is_lower, is_number, is_punctuation, is_space, is_title, is_upper, to_lower, to_title,
    to_upper,
};

pub(super) fn title(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut before = ' ';
    let titled = args.text(0)?.chars().map(|character| {
        let starts = separates(before);
        before = character;
        if starts { to_title(character) } else { character }
    });
    runtime.text(titled.collect::<String>())
}

fn separates(character: char) -> bool {
    if character.is_ascii() {
        return !(character.is_ascii_alphanumeric() || character == '_');
    }
    !is_letter(character) && !is_digit(character) && is_space(character)
}

pub(super) fn untitle(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut starts = true;
    let changed = args.text(0)?.chars().map(|character| {
        let now = std::mem::replace(&mut starts, is_space(character));
        if now { to_lower(character) } else { character }
    });
    runtime.text(changed.collect::<String>())
}

pub(super) fn swapcase(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut after_space = true;
    let swapped = args.text(0)?.chars().map(|character| {
        let starts = after_space;
        after_space = false;
        if is_upper(character) || is_title(character) {
            to_lower(character)
        } else if is_lower(character) {
            if starts { to_title(character) } else { to_upper(character) }
        } else {
            after_space = is_space(character);
            character
        }
    });
    runtime.text(swapped.collect::<String>())
}

/// sprig takes bytes for characters here: with a space in it, text beyond ASCII comes out garbled, as in istiod.
pub(super) fn nospace(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = args.text(0)?;
    if !text.bytes().any(|byte| is_space(char::from(byte))) {
        return runtime.text(text);
    }
    runtime.text(text.bytes().map(char::from).filter(|character| !is_space(*character)).collect::<String>())
}

/// The first bytes of the words, as sprig has it.
pub(super) fn initials(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut after_space = true;
    let first = args.text(0)?.bytes().map(char::from).filter(|character| {
        let starts = std::mem::replace(&mut after_space, is_space(*character));
        starts && !is_space(*character)
    });
    runtime.text(first.collect::<String>())
}

pub(super) fn wrap(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let text = wrapped(args.text(1)?, args.int(0)?, "\n", false)?;
    runtime.text(text)
}

pub(super) fn wrap_with(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (width, separator, text) = (args.int(0)?, args.text(1)?, args.text(2)?);
    let separator = if separator.is_empty() { "\n" } else { separator };
    let breaks = text.len() / usize::try_from(width).unwrap_or(1).max(1) + 1;
    runtime.meter.bytes(breaks.saturating_mul(separator.len()))?;
    runtime.text(wrapped(text, width, separator, true)?)
}

/// Lines of at most `width` bytes, broken at spaces; words that are longer are cut only if asked for.
fn wrapped(text: &str, width: i64, separator: &str, cuts: bool) -> Result<String, Fault> {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut offset = 0;
    while text.len() - offset > width {
        if bytes[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = width + offset;
        let space = bytes[offset..=end].iter().rposition(|byte| *byte == b' ').map(|at| at + offset);
        let until = match space {
            Some(space) => space,
            None if cuts => {
                out.push_str(part(text, offset, end)?);
                out.push_str(separator);
                offset = end;
                continue;
            }
            None => match bytes[end..].iter().position(|byte| *byte == b' ') {
                Some(space) => end + space,
                None => {
                    out.push_str(part(text, offset, text.len())?);
                    return Ok(out);
                }
            },
        };
        out.push_str(part(text, offset, until)?);
        out.push_str(separator);
        offset = until + 1;
    }
    out.push_str(part(text, offset, text.len())?);
    Ok(out)
}

fn connects(character: char) -> bool {
    character == '-' || character == '_' || is_space(character)
}

/// `http_server` to `HttpServer`.
pub(super) fn camelcase(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut characters = args.text(0)?.chars();
    let mut out = String::new();
    let mut current = loop {
        match characters.next() {
            Some(character) if connects(character) => out.push(character),
            Some(character) => break character,
            None => {
                // nothing but connectors: the last one comes twice
                out.extend(out.chars().next_back());
                return runtime.text(out);
            }
        }
    };
    let mut was_upper = is_upper(current);
    current = to_upper(current);
    for mut next in characters {
        let before = current;
        if connects(next) && connects(before) {
            out.push(before);
            current = next;
            continue;
        }
        if connects(before) {
            was_upper = is_upper(next);
            next = to_upper(next);
        } else {
            if was_upper && is_upper(next) {
                next = to_lower(next);
            } else {
                was_upper = false;
            }
            out.push(before);
        }
        current = next;
    }
    out.push(current);
    runtime.text(out)
}

pub(super) fn snakecase(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(separated(args.text(0)?, '_'))
}

pub(super) fn kebabcase(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(separated(args.text(0)?, '-'))
}

/// What runs of characters are to the division into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

impl Word {
    fn of(character: char) -> Self {
        if connects(character) {
            Self::Connector
        } else if is_punctuation(character) {
            Self::Punctuation
        } else if is_upper(character) {
            Self::Upper
        } else if is_alphabetic(character) {
            Self::Letters
        } else if is_number(character) {
            Self::Number
        } else {
            Self::Other
        }
    }

    fn is_border(self) -> bool {
        matches!(self, Self::None | Self::Connector | Self::Punctuation)
    }
}

/// Letters of scripts that have words of letters.
fn is_alphabetic(character: char) -> bool {
    let ideograph = matches!(character, '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}');
    is_letter(character) && !ideograph
}

/// The first word, and the rest. Of `HTTPStatus` it is `HTTP`.
fn word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else { return (Word::None, "", "") };
    let kind = Word::of(first);
    let run = |from: usize, goes_on: &dyn Fn(char) -> bool| {
        text[from..].find(|next: char| !goes_on(next)).map_or(text.len(), |length| from + length)
    };
    let lower = |next: char| is_alphabetic(next) && !is_upper(next);
    let start = first.len_utf8();
    let end = match kind {
        Word::Upper if text[start..].starts_with(is_upper) => {
            let end = run(start, &is_upper);
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            if text[end..].starts_with(is_alphabetic) { end - last } else { end }
        }
        Word::Upper | Word::Letters => run(start, &lower),
        // hyphens and underscores are punctuation, too, once it has begun
        Word::Punctuation => run(start, &is_punctuation),
        Word::Other => run(start, &|next| Word::of(next) == Word::Other),
        _ => run(start, &|next| Word::of(next) == kind),
    };
    (kind, &text[..end], &text[end..])
}

/// Words in lower case with a connector between them. Digits belong to what is before them, unless lower case follows.
fn separated(text: &str, connector: char) -> String {
    let mut out = String::new();
    let (mut kind, mut current, mut rest) = word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            push(&mut out, kind, current, connector);
        }
        let (before, last) = (kind, current);
        (kind, current, rest) = word(rest);
        match before {
            Word::Number => {
                while matches!(kind, Word::Letters | Word::Number) {
                    push(&mut out, kind, current, connector);
                    (kind, current, rest) = word(rest);
                }
                if !kind.is_border() {
                    out.push(connector);
                }
            }
            Word::Connector => push(&mut out, before, last, connector),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = current;
                (kind, current, rest) = word(rest);
                if kind != Word::Letters {
                    push(&mut out, Word::Number, number, connector);
                    if !matches!(kind, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                push(&mut out, Word::Number, number, connector);
                while matches!(kind, Word::Letters | Word::Number) {
                    push(&mut out, kind, current, connector);
                    (kind, current, rest) = word(rest);
                }
                if !kind.is_border() {
                    out.push(connector);
                }
            }
        }
    }
    push(&mut out, kind, current, connector);
    out
}

fn push(out: &mut String, kind: Word, word: &str, connector: char) {
    match kind {
        Word::Upper => out.extend(word.chars().map(|letter| if is_upper(letter) { to_lower(letter) } else { letter })),
        Word::Connector => out.extend(word.chars().map(|_| connector)),
        _ => out.push_str(word),
    }
}
