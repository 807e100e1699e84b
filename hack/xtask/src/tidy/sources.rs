//! What holds for each file: how it begins, how long it and its functions are, and that nothing in it is unfinished. Sees functions and
//! attributes inside macros too. Knows no crates.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::tokens::{self, group, is_punct, line, word};

const FILE_LIMIT: usize = 500;
const FUNCTION_LIMIT: usize = 60;
/// Without `self`.
const PARAMETER_LIMIT: usize = 5;

/// Files over the limit, each with its reason: data tables only.
const LONG_FILES: &[(&str, &str)] = &[];

/// What is wrong with a file.
pub(super) fn check(path: &Path, text: &str) -> Vec<String> {
    let mut found = comments(text);
    if path.ends_with("mod.rs") {
        found.push((1, "foo.rs stands beside foo/, never mod.rs".to_owned()));
    }
    let tested = !path.ends_with("tests.rs") && !path.starts_with("tests");
    if tested {
        found.extend(size(path, text));
    }
    match text.parse::<TokenStream>() {
        Ok(stream) => walk(&tokens::list(stream), tested, &mut found),
        Err(error) => found.push((error.span().start().line, format!("cannot be read: {error}"))),
    }
    found.sort();
    found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", path.display())).collect()
}

type Found = Vec<(usize, String)>;

fn size(path: &Path, text: &str) -> Found {
    let mut found = Found::new();
    if !text.starts_with("//!") {
        found.push((1, "begins without saying what it is for (//!)".to_owned()));
    }
    let lines = text.lines().count();
    if lines > FILE_LIMIT && !LONG_FILES.iter().any(|(known, _)| path.ends_with(known)) {
        found.push((FILE_LIMIT + 1, format!("{lines} lines, at most {FILE_LIMIT}")));
    }
    found
}

/// Notes of unfinished work in comments need the number of their issue.
fn comments(text: &str) -> Found {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut found = Found::new();
    for (at, line) in text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else { continue };
        let mut words = comment.split(|character: char| !character.is_ascii_alphanumeric() && character != '#');
        let numbered = comment.split('#').skip(1).any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if words.any(|word| marks.contains(&word)) && !numbered {
            found.push((at + 1, "unfinished, without the number of an issue (#1)".to_owned()));
        }
    }
    found
}

fn walk(all: &[TokenTree], limits: bool, found: &mut Found) {
    for (at, token) in all.iter().enumerate() {
        let name = word(Some(token)).unwrap_or_default();
        if is_punct(Some(token), '#') {
            let inner = at + 1 + usize::from(is_punct(all.get(at + 1), '!'));
            if let Some(attribute) = group(all.get(inner), Delimiter::Bracket) {
                self::attribute(&tokens::list(attribute.stream()), found);
            }
        } else if ["todo", "unimplemented"].contains(&name.as_str()) && is_punct(all.get(at + 1), '!') {
            found.push((line(token), format!("unfinished: {name}!")));
        } else if limits && name == "fn" && word(all.get(at + 1)).is_some() {
            function(&all[at..], found);
        }
        if let TokenTree::Group(group) = token {
            walk(&tokens::list(group.stream()), limits, found);
        }
    }
}

fn attribute(all: &[TokenTree], found: &mut Found) {
    if word(all.first()).as_deref() == Some("ignore") {
        found.push((line(&all[0]), "a test that is not run is not a test".to_owned()));
    }
    for (at, token) in all.iter().enumerate() {
        let name = word(Some(token)).unwrap_or_default();
        let Some(inner) = group(all.get(at + 1), Delimiter::Parenthesis) else { continue };
        let inner = tokens::list(inner.stream());
        match name.as_str() {
            "allow" | "expect" if !inner.iter().any(|token| word(Some(token)).as_deref() == Some("reason")) => {
                found.push((line(token), format!("#[{name}] without a reason")));
            }
            "cfg_attr" => attribute(&inner, found),
            _ => {}
        }
    }
}

/// Length and parameters of the function that begins here.
fn function(all: &[TokenTree], found: &mut Found) {
    let start = line(&all[0]);
    let mut depth = 0;
    let mut list = None;
    for (at, token) in all.iter().enumerate() {
        depth = tokens::angle(all, at, depth);
        if let (0, None, Some(inner)) = (depth, &list, group(Some(token), Delimiter::Parenthesis)) {
            list = Some(tokens::list(inner.stream()));
        } else if is_punct(Some(token), ';') {
            break;
        } else if let Some(body) = group(Some(token), Delimiter::Brace) {
            let length = body.span_close().end().line - start + 1;
            if length > FUNCTION_LIMIT {
                found.push((start, format!("a function of {length} lines, at most {FUNCTION_LIMIT}")));
            }
            break;
        }
    }
    let parameters = parameters(&list.unwrap_or_default());
    if parameters > PARAMETER_LIMIT {
        found.push((start, format!("{parameters} parameters, at most {PARAMETER_LIMIT} and self")));
    }
}

fn parameters(list: &[TokenTree]) -> usize {
    let first = list.split(|token| is_punct(Some(token), ',')).next().unwrap_or_default();
    let receiver = first.iter().take_while(|token| !is_punct(Some(token), ':'));
    let receiver = receiver.into_iter().any(|token| word(Some(token)).as_deref() == Some("self"));
    tokens::parts(list) - usize::from(receiver)
}

#[cfg(test)]
mod tests;
