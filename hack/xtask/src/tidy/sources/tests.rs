use super::*;

fn complaints(text: &str) -> Vec<String> {
    let found = check(Path::new("x.rs"), text);
    found.into_iter().map(|line| line.trim_start_matches("x.rs:").to_owned()).collect()
}

#[test]
fn files_say_what_they_are_for_and_are_short() {
    assert!(complaints("//! x\n").is_empty());
    assert_eq!(complaints("fn x() {}\n"), ["1: begins without saying what it is for (//!)"]);
    assert_eq!(complaints(&format!("//! x\n{}", "\n".repeat(500))), ["501: 501 lines, at most 500"]);
    assert_eq!(check(Path::new("x/mod.rs"), "//! x\n"), ["x/mod.rs:1: foo.rs stands beside foo/, never mod.rs"]);
    assert!(check(Path::new("x/tests.rs"), &"\n".repeat(600)).is_empty());
    assert_eq!(complaints("//! x\nfn x( {}\n").len(), 1);
}

#[test]
fn long_functions_are_named_also_where_text_looks_like_an_end() {
    let body = |lines: usize| format!("//! x\nfn long() {{\n{}}}\n", "    \"\n}\n\";\n".repeat(lines / 3));
    assert!(complaints(&body(57)).is_empty());
    assert_eq!(complaints(&body(60)), ["2: a function of 62 lines, at most 60"]);
    let inside = format!("//! x\nmacro_rules! m {{ () => {{ fn f() {{\n{}}} }} }}\n", "\n".repeat(59));
    assert_eq!(complaints(&inside), ["2: a function of 61 lines, at most 60"]);
}

#[test]
fn parameters_are_counted_without_self() {
    for fine in [
        "fn f(&mut self, a: u8, b: u8, c: u8, d: u8, e: u8,) {}",
        "fn f<F: Fn(u8, u8, u8, u8, u8, u8) -> u8>(a: F) {}",
        "fn f(a: Map<u8, u8>, b: (u8, u8), c: fn(u8) -> u8, d: u8, e: u8) where Z: Fn(u8, u8, u8, u8, u8, u8);",
        "fn f() { g(1, 2, 3, 4, 5, 6) }",
    ] {
        assert!(complaints(&format!("//! x\n{fine}\n")).is_empty(), "{fine}");
    }
    for many in [
        "fn f(a: impl Fn(u8) -> u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}",
        "fn f<const N: u8>(a: A, b: B, c: C, d: D, e: E, f: F);",
    ] {
        assert_eq!(complaints(&format!("//! x\n{many}\n")), ["2: 6 parameters, at most 5 and self"], "{many}");
    }
}

#[test]
fn unfinished_and_silenced_things_are_named() {
    for (text, wanted) in [
        (concat!("// TO", "DO: later"), "unfinished, without the number of an issue (#1)"),
        (concat!("fn f() { to", "do!() }"), "unfinished: todo!"),
        (concat!("#[ig", "nore = \"slow\"] fn f() {}"), "a test that is not run is not a test"),
        (concat!("#[al", "low(dead_code)] fn f() {}"), "#[allow] without a reason"),
        (concat!("#![ex", "pect(dead_code)]"), "#[expect] without a reason"),
        (concat!("#[cfg_attr(test, al", "low(dead_code))] fn f() {}"), "#[allow] without a reason"),
    ] {
        assert_eq!(complaints(&format!("//! x\n{text}\n")), [format!("2: {wanted}")], "{text}");
    }
    for fine in [
        concat!("// TO", "DO (#12): later"),
        "fn f() { x.expect(\"why\") }",
        "#[allow(dead_code, reason = \"why\")] fn f() {}",
        "fn f() { \"todo!()\" }",
    ] {
        assert!(complaints(&format!("//! x\n{fine}\n")).is_empty(), "{fine}");
    }
}
