use super::*;

fn complaints(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    file(Path::new("crates/x/src/x.rs"), text, &mut wrong);
    wrong
}

#[test]
fn long_functions_many_parameters_and_silent_files_are_named() {
    assert!(complaints("//! x\nfn short(a: u8) -> u8 {\n    a\n}\n").is_empty());
    let long = format!("//! x\nfn long() {{\n{}}}\n", "    let _ = 1;\n".repeat(60));
    assert_eq!(complaints(&long), ["crates/x/src/x.rs:2: a function of 62 lines, at most 60"]);
    assert_eq!(complaints("fn x() {}\n"), ["crates/x/src/x.rs:1: begins without saying what it is for (//!)"]);
    let many = "//! x\nfn many(a: Map<u8, u8>, b: u8, c: u8, d: u8, e: u8, f: u8, g: (u8, u8)) {}\n";
    assert_eq!(complaints(many), ["crates/x/src/x.rs:2: 7 parameters, at most 5 and self"]);
}

#[test]
fn cycles_are_found() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        pairs.iter().for_each(|(a, b)| _ = edges.entry((*a).into()).or_default().insert((*b).into()));
        edges
    };
    let straight = edges(&[("a", "b"), ("b", "c"), ("a", "c")]);
    assert_eq!(cycle_from("a", &straight, &mut vec!["a".into()]), None);
    let round = edges(&[("a", "b"), ("b", "c"), ("c", "a")]);
    assert_eq!(cycle_from("a", &round, &mut vec!["a".into()]).as_deref(), Some("a -> b -> c -> a"));
}
