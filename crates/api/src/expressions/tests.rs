//! Which expressions are RE2.

use super::check;

#[test]
fn what_re2_takes_is_taken() {
    for expression in [
        "/api/v[0-9]+/.*",
        "^/a/{id}/b$",
        "a{,5}",
        "a{2}b{2,}c{2,3}?",
        "x{1000}",
        "[^[]+",
        "[[:word:]_-]*",
        "[a&&b~~c]",
        "[]a]",
        "[--/]",
        "(?i)abc(?s:.)(?-m:x)",
        "(?P<name>a)(?<other>b)",
        r"\Qa.b(\E+",
        r"\d+\.\w\/\-",
        "(a*)*",
        "a*?b+?c??",
        "",
        "é{2}",
    ] {
        assert_eq!(check(expression), Ok(()), "{expression}");
    }
}

#[test]
fn what_re2_does_not_know_is_refused() {
    for expression in [
        "*", "a**", "a*+", "a*??+", "x{2}{3}", "x{1001}", "x{3,2}", "(", ")", "[", "[b-a]", "(?=a)", "(?!a)", "(?<=a)",
        "(?x)a", "(?>a)", r"(a)\1", r"\", "a|*", r"[a-\d]", r"\y",
    ] {
        assert!(check(expression).is_err(), "{expression}");
    }
}
