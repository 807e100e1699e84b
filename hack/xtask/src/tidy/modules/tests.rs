use super::*;

fn checked(files: &[(&str, &str)]) -> Option<String> {
    let files: Vec<Source> =
        files.iter().map(|(path, text)| (format!("c/src/{path}").into(), (*text).into())).collect();
    let crates = crates(&files);
    check(Path::new("c/src"), crates.values().next().unwrap(), &[]).pop()
}

#[test]
fn a_tie_may_close_a_cycle_and_must_be_there() {
    let files = [("c/src/a.rs".into(), "use crate::b;".to_owned()), ("c/src/b.rs".into(), "use crate::a;".to_owned())];
    let files: Vec<&Source> = files.iter().collect();
    let source = Path::new("c/src");
    assert_eq!(check(source, &files, &[("c/src", "b", "a", "one idea")]), Vec::<String>::new());
    assert_eq!(check(source, &files, &[("d/src", "b", "a", "one idea")]).len(), 1);
    let needless = check(source, &files, &[("c/src", "b", "a", ""), ("c/src", "b", "c", "")]);
    assert_eq!(needless, [format!("{THIS_FILE}:1: the tie b -> c of c/src is not needed")]);
}

const ROOT: (&str, &str) = ("lib.rs", "mod a;\nmod b;\npub use a::{Deep, Other as Renamed};\nuse crate::b::*;\n");

#[test]
fn straight_modules_are_fine() {
    assert_eq!(checked(&[ROOT, ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::Row;\npub(crate) struct B;")]), None);
}

#[test]
fn a_cycle_is_named_with_its_places() {
    let found = checked(&[ROOT, ("a.rs", "\nuse crate::{b};"), ("b.rs", "fn f() { crate::a::g() }")]);
    let wanted = "c/src/a.rs:2: modules form a cycle: a -> b (c/src/a.rs:2) -> a (c/src/b.rs:1)";
    assert_eq!(found.as_deref(), Some(wanted));
}

#[test]
fn every_way_to_name_a_module_counts() {
    let a = ("a.rs", "use crate::b::B;");
    for b in [
        "use crate::{x, a::{y}};",
        "use super::a;",
        "use crate::Deep;",
        "use crate::Renamed;",
        "fn f(it: super::Deep) {}",
        "mod inner { use super::super::a; }",
        "fn f() { show!(crate::a::NAME) }",
        "impl X { fn f() -> impl Y + use<'_> { crate::a::f() } }",
    ] {
        assert!(checked(&[ROOT, a, ("b.rs", b)]).is_some(), "{b}");
    }
    assert!(checked(&[ROOT, a, ("b.rs", ""), ("b/deep.rs", "use super::super::a;")]).is_some());
}

#[test]
fn what_is_inside_a_module_or_a_test_is_no_edge() {
    let a = ("a.rs", "use crate::b::B;");
    for b in [
        "mod a {} use self::a::X;",
        "mod inner { use super::a; }",
        "#[cfg(test)] mod tests { use crate::a; }",
        "#[cfg(test)] use crate::a;",
        "pub(crate) fn f() {}",
        "// use crate::a;",
    ] {
        assert_eq!(checked(&[ROOT, a, ("b.rs", b)]), None, "{b}");
    }
    assert_eq!(
        checked(&[ROOT, a, ("b.rs", ""), ("b/tests.rs", "use crate::a;"), ("b/deep.rs", "use super::a;")]),
        None
    );
}
