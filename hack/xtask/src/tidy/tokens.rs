//! Rust text as tokens: just enough of the grammar to find paths, attributes and functions, inside macros as well. Knows no rules.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path as written, with the names it goes through, and its line.
pub(super) struct Named {
    pub(super) path: Vec<String>,
    /// What it is called here: its last name, or what follows `as`.
    pub(super) called: String,
    pub(super) line: usize,
}

pub(super) fn list(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

pub(super) fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

pub(super) fn word(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

pub(super) fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

pub(super) fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// The path that begins at a name: `crate::a::B`.
pub(super) fn path_at(tokens: &[TokenTree], at: usize) -> Vec<String> {
    let mut path: Vec<String> = word(tokens.get(at)).into_iter().collect();
    let mut at = at + 1;
    while is_path_separator(tokens, at) {
        let Some(next) = word(tokens.get(at + 2)) else { break };
        path.push(next);
        at += 3;
    }
    path
}

/// All that a `use` names: `a::{b, c::*, d as e}` is `a::b`, `a::c::*` and `a::d` called `e`.
pub(super) fn used(prefix: &[String], tokens: &[TokenTree]) -> Vec<Named> {
    let mut all = Vec::new();
    for one in tokens.split(|token| is_punct(Some(token), ',')) {
        let mut path = prefix.to_vec();
        let mut called = None;
        for (at, token) in one.iter().enumerate() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    called = word(one.get(at + 1));
                    break;
                }
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Group(inner) => {
                    all.extend(used(&path, &list(inner.stream())));
                    path.clear();
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if let (Some(last), Some(first)) = (path.last().cloned(), one.first()) {
            all.push(Named { called: called.unwrap_or(last), path, line: line(first) });
        }
    }
    all
}

/// Parts of a list between commas, where `<` and `>` hold together and `->` closes nothing.
pub(super) fn parts(tokens: &[TokenTree]) -> usize {
    let (mut depth, mut parts, mut open) = (0usize, 0, false);
    for (at, token) in tokens.iter().enumerate() {
        if is_punct(Some(token), ',') && depth == 0 {
            open = false;
            continue;
        }
        depth = angle(tokens, at, depth);
        parts += usize::from(!open);
        open = true;
    }
    parts
}

/// The depth of angle brackets after a token.
pub(super) fn angle(tokens: &[TokenTree], at: usize, depth: usize) -> usize {
    let arrow = at > 0 && (is_punct(tokens.get(at - 1), '-') || is_punct(tokens.get(at - 1), '='));
    match tokens.get(at) {
        token if is_punct(token, '<') => depth + 1,
        token if is_punct(token, '>') && !arrow => depth.saturating_sub(1),
        _ => depth,
    }
}

/// Where the item ends that begins here: behind its `;` or its braces.
pub(super) fn item_end(tokens: &[TokenTree], at: usize) -> usize {
    let end = |token: &TokenTree| is_punct(Some(token), ';') || group(Some(token), Delimiter::Brace).is_some();
    tokens[at..].iter().position(end).map_or(tokens.len(), |found| at + found + 1)
}

/// Where the `;` of a `use` stands.
pub(super) fn use_end(tokens: &[TokenTree], at: usize) -> usize {
    tokens[at..].iter().position(|token| is_punct(Some(token), ';')).map_or(tokens.len(), |found| at + found)
}
