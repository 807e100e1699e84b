use super::*;

#[test]
fn export_lists_read_as_istio_reads_them() {
    let own = Name::from("shop");
    let other = Name::from("yard");
    let allows = |written: &[&str], viewer: &Name| Export::new(written.iter().copied(), &own).allows(viewer, &own, &[]);
    assert!(allows(&[], &other) && allows(&["*"], &other) && allows(&["yard"], &other));
    assert!(allows(&["."], &own) && !allows(&["."], &other));
    assert!(!allows(&["~"], &own));
    let private = [Name::from(".")];
    assert!(!Export::Default.allows(&other, &own, &private) && Export::Default.allows(&own, &own, &private));
    assert!(Export::Public.allows(&other, &own, &private));
}
