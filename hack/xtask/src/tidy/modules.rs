//! The top-level modules of a crate form no cycle. An edge is any path through `crate::` or `super::` outside of tests; a name that the root
//! re-exports counts as its module. The root itself may name every module: it is what joins them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::tokens::{self, Named};

const THIS_FILE: &str = "hack/xtask/src/tidy/modules.rs";

/// A source: where it is, and its text.
type Source = (PathBuf, String);
/// From a module to those it names, each with the place of one such name.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// An edge that may close a cycle: folder, from, to, reason.
type Tie = (&'static str, &'static str, &'static str, &'static str);

/// Pairs that are one idea in two files.
pub(super) const TIES: &[Tie] = &[
    (
        "crates/graph/src",
        "declare",
        "reader",
        "a row declares how it is built from a reader, and a reader is asked by declared rows",
    ),
    ("crates/graph/src", "table", "reader", "a table carries the build function of its rows"),
    ("crates/api/src", "checked", "kinds", TABLE),
    ("crates/api/src", "object", "kinds", TABLE),
];
const TABLE: &str = "the table of kinds has the objects of every kind, and an object names its kind";

/// The sources of each crate, without tests and further programs.
pub(super) fn crates(sources: &[Source]) -> BTreeMap<PathBuf, Vec<&Source>> {
    let mut crates = BTreeMap::<PathBuf, Vec<&Source>>::new();
    for source in sources {
        let Some(root) = source.0.ancestors().find(|folder| folder.ends_with("src")) else { continue };
        let test = source.0.ends_with("tests.rs") || source.0.components().any(|part| part.as_os_str() == "tests");
        if !test && !source.0.starts_with(root.join("bin")) {
            crates.entry(root.to_owned()).or_default().push(source);
        }
    }
    crates
}

/// The first cycle of a crate, with the place of each of its edges; ties without an edge.
pub(super) fn check(source: &Path, files: &[&Source], ties: &[Tie]) -> Vec<String> {
    let mut edges = edges(files);
    let mut wrong = Vec::new();
    for (_, from, to, _) in ties.iter().filter(|tie| source == Path::new(tie.0)) {
        if edges.get_mut(*from).and_then(|edges| edges.remove(*to)).is_none() {
            wrong.push(format!("{THIS_FILE}:1: the tie {from} -> {to} of {} is not needed", source.display()));
        }
    }
    let mut done = BTreeSet::new();
    wrong.extend(edges.keys().find_map(|start| cycle(start, &edges, &mut Vec::new(), &mut done)));
    wrong
}

fn cycle<'a>(at: &'a str, edges: &'a Edges, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> Option<String> {
    if let Some(from) = path.iter().position(|passed| *passed == at) {
        return Some(shown(&path[from..], edges));
    }
    if done.contains(at) {
        return None;
    }
    path.push(at);
    let found = edges.get(at).and_then(|to| to.keys().find_map(|next| cycle(next, edges, path, done)));
    path.pop();
    done.insert(at);
    found
}

fn shown(cycle: &[&str], edges: &Edges) -> String {
    let next = cycle.iter().cycle().skip(1);
    let places: Vec<(&str, &str)> =
        cycle.iter().zip(next).map(|(from, to)| (edges[*from][*to].as_str(), *to)).collect();
    let first = places.first().map_or("", |(place, _)| place);
    let steps: Vec<String> = places.iter().map(|(place, to)| format!("{to} ({place})")).collect();
    format!("{first}: modules form a cycle: {} -> {}", cycle.first().unwrap_or(&""), steps.join(" -> "))
}

/// Names that can be reached through the root.
#[derive(Default)]
struct Root {
    modules: BTreeSet<String>,
    /// Names that the root re-exports, and their modules.
    exported: BTreeMap<String, String>,
}

impl Root {
    fn module_of(&self, name: &str) -> Option<&String> {
        self.modules.get(name).or_else(|| self.exported.get(name))
    }
}

fn edges(files: &[&Source]) -> Edges {
    let root = root(files);
    let mut edges = Edges::new();
    for (path, text) in files {
        let (Some(here), Ok(stream)) = (module(path), text.parse::<TokenStream>()) else { continue };
        let mut named = Vec::new();
        walk(&tokens::list(stream), &here, &mut named);
        for (name, line) in named {
            let Some(to) = root.module_of(&name).filter(|to| **to != here[0]) else { continue };
            let place = format!("{}:{line}", path.display());
            edges.entry(here[0].clone()).or_default().entry(to.clone()).or_insert(place);
        }
    }
    edges
}

/// The path of a file's module; none for the root.
fn module(path: &Path) -> Option<Vec<String>> {
    let source = path.ancestors().find(|folder| folder.ends_with("src"))?;
    let inside = path.strip_prefix(source).ok()?.with_extension("");
    let here: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    (here != ["lib"] && here != ["main"]).then_some(here)
}

fn root(files: &[&Source]) -> Root {
    let modules: BTreeSet<String> = files.iter().filter_map(|(path, _)| module(path)?.first().cloned()).collect();
    let mut root = Root { modules, ..Root::default() };
    for (_, text) in files.iter().filter(|(path, _)| module(path).is_none()) {
        let tokens = text.parse::<TokenStream>().map(tokens::list).unwrap_or_default();
        for at in 0..tokens.len() {
            if tokens::word(tokens.get(at)).as_deref() == Some("use") {
                root.export(tokens::used(&[], &tokens[at + 1..tokens::use_end(&tokens, at)]));
            }
        }
    }
    root
}

impl Root {
    fn export(&mut self, used: Vec<Named>) {
        for Named { path, called, .. } in used {
            let mut path = path.into_iter().skip_while(|name| name == "crate" || name == "self");
            let Some(module) = path.next().filter(|name| self.modules.contains(name)) else { continue };
            self.exported.insert(called, module);
        }
    }
}

/// Names that are looked up in the root of the crate from module `here`, with their lines.
fn walk(tokens: &[TokenTree], here: &[String], named: &mut Vec<(String, usize)>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let word = tokens::word(Some(token)).unwrap_or_default();
        let inner = tokens::group(tokens.get(at + 2), Delimiter::Brace);
        if is_test_mark(tokens, at) {
            at = tokens::item_end(tokens, at + 2);
            continue;
        } else if let (true, Some(name), Some(inner)) = (word == "mod", tokens::word(tokens.get(at + 1)), inner) {
            walk(&tokens::list(inner.stream()), &[here, &[name]].concat(), named);
            at += 2;
        } else if word == "use" && !tokens::is_punct(tokens.get(at + 1), '<') {
            let end = tokens::use_end(tokens, at);
            for used in tokens::used(&[], &tokens[at + 1..end]) {
                named.extend(in_root(&used.path, here.len()).map(|name| (name, used.line)));
            }
            at = end;
        } else if word == "crate" || word == "super" {
            let path = tokens::path_at(tokens, at);
            named.extend(in_root(&path, here.len()).map(|name| (name, tokens::line(token))));
            at += 3 * path.len() - 3;
        } else if let TokenTree::Group(group) = token {
            walk(&tokens::list(group.stream()), here, named);
        }
        at += 1;
    }
}

fn is_test_mark(tokens: &[TokenTree], at: usize) -> bool {
    let Some(attribute) = tokens::group(tokens.get(at + 1), Delimiter::Bracket) else { return false };
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    tokens::is_punct(tokens.get(at), '#') && text == "cfg(test)"
}

/// The name that a path looks up in the root, seen from a module so deep.
fn in_root(path: &[String], depth: usize) -> Option<String> {
    let up = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => path.get(1).cloned(),
        "super" if up == depth => path.get(up).cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
