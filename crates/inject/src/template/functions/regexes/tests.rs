use super::*;

#[test]
fn a_pattern_of_go_keeps_its_meaning() {
    let cases = [
        (r"a\d+", "a[0-9]+"),
        (r"[\w.]", "[[0-9A-Za-z_].]"),
        (r"[[a]", r"[\[a]"),
        (r"[]a]", r"[\]a]"),
        (r"[a&&b~]", r"[a\&\&b\~]"),
        (r"[[:alpha:]-]", "[[:alpha:]-]"),
        (r"\Qa.b\E+", r"a\.b+"),
        (r"\bx", r"(?-u:\b)x"),
        (r"\101", r"\x{41}"),
        (r"a{2,3}?b*", r"a{2,3}?b*"),
        (r"a{,3}{x}", r"a\{,3\}\{x\}"),
    ];
    for (go, here) in cases {
        assert_eq!(rewrite(go).as_deref(), Ok(here), "{go}");
        assert!(Regex::new(here).is_ok(), "{here}");
    }
}
