use super::*;

const TEXT: &str = "# about\n[one]\n\"a: rows\" = 3\n\n[two]\n\"a: rows\" = 4.5\n";

#[test]
fn a_part_has_its_own_limits() {
    assert_eq!(Limits::of(TEXT, "one").unwrap().most("a: rows"), Some(3.0));
    assert_eq!(Limits::of(TEXT, "two").unwrap().most("a: rows"), Some(4.5));
    assert_eq!(Limits::of(TEXT, "two").unwrap().most("b: rows"), None);
}

#[test]
fn what_cannot_be_understood_is_no_limit_that_holds() {
    assert!(Limits::of(TEXT, "three").is_err());
    assert!(Limits::of("[one]\n\"a: rows\" 3\n", "one").is_err());
    assert!(Limits::of("[one]\n\"a: rows\" = three\n", "one").is_err());
}

#[test]
fn a_limit_without_a_measure_is_idle() {
    let limits = Limits::of(TEXT, "one").unwrap();
    assert_eq!(limits.idle(&["b: rows"].into()), ["a: rows"]);
    assert!(limits.idle(&["a: rows", "b: rows"].into()).is_empty());
}
