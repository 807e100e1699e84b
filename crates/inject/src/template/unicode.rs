//! What kind of a character it is, by the general categories of Unicode as Go's package `unicode` asks for them. The standard library
//! knows derived properties only, so the tables of `regex` are used.

use std::sync::LazyLock;

use regex::Regex;

fn class(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{L}$"));
static UPPER: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{Lu}$"));
static LOWER: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{Ll}$"));
static TITLE: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{Lt}$"));
static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{Nd}$"));
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{N}$"));
static PUNCTUATION: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^\p{P}$"));
static PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| class(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$"));

fn matches(class: &Option<Regex>, character: char) -> bool {
    class.as_ref().is_some_and(|class| class.is_match(character.encode_utf8(&mut [0; 4])))
}

pub(crate) fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic() || !character.is_ascii() && matches(&LETTER, character)
}

pub(crate) fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || !character.is_ascii() && matches(&DIGIT, character)
}

pub(crate) fn is_number(character: char) -> bool {
    character.is_ascii_digit() || !character.is_ascii() && matches(&NUMBER, character)
}

pub(crate) fn is_upper(character: char) -> bool {
    character.is_ascii_uppercase() || !character.is_ascii() && matches(&UPPER, character)
}

pub(crate) fn is_lower(character: char) -> bool {
    character.is_ascii_lowercase() || !character.is_ascii() && matches(&LOWER, character)
}

pub(crate) fn is_title(character: char) -> bool {
    !character.is_ascii() && matches(&TITLE, character)
}

pub(crate) fn is_punctuation(character: char) -> bool {
    matches(&PUNCTUATION, character)
}

/// What Go prints as it is inside of quotes.
pub(crate) fn is_printable(character: char) -> bool {
    (' '..='~').contains(&character) || !character.is_ascii() && matches(&PRINTABLE, character)
}

/// White space as Go has it.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace()
}

/// Upper case of one character to one character: `ß` stays.
pub(crate) fn to_upper(character: char) -> char {
    single(character.to_uppercase(), character)
}

/// Lower case of one character to one character.
pub(crate) fn to_lower(character: char) -> char {
    match character {
        'İ' => 'i',
        _ => single(character.to_lowercase(), character),
    }
}

/// Title case: upper case but for the digraphs that have a form of their own.
pub(crate) fn to_title(character: char) -> char {
    match character {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        _ => to_upper(character),
    }
}

fn single(mut mapped: impl Iterator<Item = char>, otherwise: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => otherwise,
    }
}

/// `U+0040 '@'`.
pub(crate) fn named(character: char) -> String {
    let number = character as u32;
    if is_printable(character) { format!("U+{number:04X} '{character}'") } else { format!("U+{number:04X}") }
}
