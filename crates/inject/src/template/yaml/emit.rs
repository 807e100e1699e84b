//! How values are laid out as lines of YAML.

use serde_json::Value as Json;

use super::{by_key, is_plain_text, plain};

/// Text is folded behind this column.
const WIDTH: usize = 80;
/// Longer keys get a line of their own.
const KEY: usize = 128;

pub(super) struct Emitter {
    pub(super) out: String,
    /// Nothing is written any more when there is so much.
    most: usize,
    column: usize,
    /// None at the document's level.
    indent: Option<usize>,
    /// What was written last is a space.
    whitespace: bool,
    /// Nothing but indentation and indicators of it stands in the line.
    indention: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Emitter {
    pub(super) fn new(most: usize) -> Self {
        Self { out: String::new(), most, column: 0, indent: None, whitespace: true, indention: true }
    }

    pub(super) fn document(&mut self, json: &Json) {
        self.node(json, false);
        self.line();
    }

    fn node(&mut self, json: &Json, in_mapping: bool) {
        match json {
            Json::Object(object) if object.is_empty() => self.empty("{", "}"),
            Json::Array(items) if items.is_empty() => self.empty("[", "]"),
            Json::Object(object) => {
                let before = self.deeper(false);
                let mut entries: Vec<_> = object.iter().collect();
                entries.sort_by(|(a, _), (b, _)| by_key(a, b));
                for (key, value) in entries {
                    self.entry(key, value);
                }
                self.indent = before;
            }
            Json::Array(items) => {
                let before = self.deeper(in_mapping && !self.indention);
                for item in items {
                    self.line();
                    self.indicator("-", true, true);
                    self.node(item, false);
                }
                self.indent = before;
            }
            Json::String(text) => self.text(text, false),
            _ => self.scalar(&plain(json), Style::Plain, false),
        }
    }

    fn entry(&mut self, key: &str, value: &Json) {
        self.line();
        if key.len() <= KEY && !key.contains(is_break) {
            self.text(key, true);
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.text(key, false);
            self.line();
            self.indicator(":", true, true);
        }
        self.node(value, true);
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.indicator(close, false, false);
    }

    /// One level deeper; lists in mappings stay where they are. Gives what to return to.
    fn deeper(&mut self, stays: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = Some(match before {
            None => 0,
            Some(indent) if stays => indent,
            Some(indent) => indent + 2,
        });
        before
    }

    fn text(&mut self, text: &str, is_key: bool) {
        let style = if text.contains('\n') {
            Style::Literal
        } else if is_plain_text(text) {
            Style::Plain
        } else {
            Style::Double
        };
        self.scalar(text, style, is_key);
    }

    fn scalar(&mut self, text: &str, wanted: Style, is_key: bool) {
        let before = self.indent;
        self.indent = Some(before.map_or(2, |indent| indent + 2));
        match allowed(text, wanted, is_key) {
            Style::Plain => self.plain(text, !is_key),
            Style::Single => self.single(text, !is_key),
            Style::Double => self.double(text, !is_key),
            Style::Literal => self.literal(text),
        }
        self.indent = before;
    }

    // Characters.

    fn write(&mut self, character: char) {
        if self.out.len() <= self.most {
            self.out.push(character);
        }
    }

    fn put(&mut self, character: char) {
        self.write(character);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.write('\n');
        self.column = 0;
    }

    /// A new line with its indentation, unless this one is still at it.
    fn line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, indicator: &str, spaced: bool, is_indention: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        indicator.chars().for_each(|character| self.put(character));
        self.whitespace = false;
        self.indention = self.indention && is_indention;
    }

    // Styles.

    fn plain(&mut self, text: &str, folds: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.folded(text, folds, 0..text.len());
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, folds: bool) {
        self.indicator("'", true, false);
        // neither the first nor the last character becomes a line break
        self.folded(text, folds, 1..text.len().saturating_sub(1));
        self.indicator("'", false, false);
    }

    /// Text without escapes but for doubled quotes; a lone space behind the width becomes a line break where it may.
    fn folded(&mut self, text: &str, folds: bool, inside: std::ops::Range<usize>) {
        let quoted = inside.start == 1;
        let (mut spaces, mut breaks) = (false, false);
        for (at, character) in text.char_indices() {
            if character == ' ' {
                let lone = !spaces && !text[at + 1..].starts_with(' ');
                if folds && lone && self.column > WIDTH && inside.contains(&at) {
                    self.line();
                } else {
                    self.put(' ');
                }
                spaces = true;
                continue;
            }
            if is_break(character) {
                if !breaks && character == '\n' {
                    self.line_break();
                }
                self.write_break(character);
                breaks = true;
                continue;
            }
            if breaks {
                self.line();
            }
            if quoted && character == '\'' {
                self.put('\'');
            }
            self.put(character);
            self.indention = false;
            (spaces, breaks) = (false, false);
        }
    }

    fn write_break(&mut self, character: char) {
        if character == '\n' {
            self.line_break();
        } else {
            self.put(character);
            self.column = 0;
        }
        self.indention = true;
    }

    fn double(&mut self, text: &str, folds: bool) {
        self.indicator("\"", true, false);
        let mut spaces = false;
        for (at, character) in text.char_indices() {
            if needs_escape(text, character) {
                escaped(character).chars().for_each(|part| self.put(part));
                spaces = false;
            } else if character == ' ' {
                if folds && !spaces && self.column > WIDTH && at > 0 && at + 1 < text.len() {
                    self.line();
                    if text[at + 1..].starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|first| first == ' ' || is_break(first)) {
            self.indicator("2", false, false);
        }
        let mut ends = text.chars().rev();
        match (ends.next().map(is_break), ends.next().map(is_break)) {
            (Some(true), None | Some(true)) => self.indicator("+", false, false),
            (Some(true), Some(false)) => {}
            _ => self.indicator("-", false, false),
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.write_break(character);
                breaks = true;
            } else {
                if breaks {
                    self.line();
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// What YAML 1.1 prints without an escape; nothing beyond the first plane.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

fn needs_escape(text: &str, character: char) -> bool {
    !is_printable(character) || text.starts_with('\u{feff}') || is_break(character) || matches!(character, '"' | '\\')
}

fn escaped(character: char) -> String {
    match character {
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        _ => match character as u32 {
            small @ 0..=0xff => format!("\\x{small:02X}"),
            middle @ 0x100..=0xffff => format!("\\u{middle:04X}"),
            large => format!("\\U{large:08X}"),
        },
    }
}

/// The style that text can have, of the one that is wanted and those that can have more.
fn allowed(text: &str, wanted: Style, is_key: bool) -> Style {
    let can = Analysis::of(text);
    let mut style = if is_key && can.multiline { Style::Double } else { wanted };
    if style == Style::Plain && (!can.plain || text.is_empty() && is_key) {
        style = Style::Single;
    }
    if style == Style::Single && !can.single {
        style = Style::Double;
    }
    if style == Style::Literal && (!can.literal || is_key) {
        style = Style::Double;
    }
    style
}

/// In which styles text keeps its meaning.
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    literal: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { multiline: false, plain: true, single: true, literal: false };
        }
        let multiline = text.contains(is_break);
        let special = text.contains(|character| !is_printable(character));
        let pairs = || text.chars().zip(text.chars().skip(1));
        let break_space = pairs().any(|(before, next)| is_break(before) && next == ' ');
        let space_break = pairs().any(|(before, next)| before == ' ' && is_break(next));
        let ends = text.starts_with(|c| c == ' ' || is_break(c)) || text.ends_with(|c| c == ' ' || is_break(c));
        let worst = space_break || special;
        Self {
            multiline,
            plain: !(ends || break_space || worst || multiline || has_indicators(text)),
            single: !(break_space || worst),
            literal: !(text.ends_with(' ') || worst),
        }
    }
}

/// Characters that would mean something in plain text.
fn has_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let mut preceded = true;
    let mut characters = text.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        let followed = characters.peek().is_none_or(|next| is_blank(*next));
        let indicates = match character {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if first => {
                true
            }
            '?' | '-' if first => followed,
            ':' => followed,
            '#' => preceded,
            _ => false,
        };
        if indicates {
            return true;
        }
        preceded = is_blank(character) || is_break(character);
        first = false;
    }
    false
}
