use super::*;
use crate::names::Names;

fn resource(names: &Names, name: &str, body: u64, leads: &[&str]) -> Arc<Resource> {
    let name = names.of(name);
    let leads = leads.iter().map(|to| (Kind::Eds, names.of(to))).collect();
    let hash = body.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(name.number()).rotate_left(32);
    Arc::new(Resource { name, version: "1".into(), hash, body, recorded: None, leads, vhds: false })
}

fn response(resources: Vec<Arc<Resource>>, removed: Vec<Name>) -> Response {
    Response { kind: Some(Kind::Cds), resources, removed, ..Response::default() }
}

#[test]
fn what_came_replaces_what_was_there_and_new_and_changed_ones_warm() {
    let names = Names::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| names.of(name));
    let made = |name: &str, body| resource(&names, name, body, &[name]);
    let first = Held::default().after(&response(vec![made("b", 1), made("a", 1)], vec![]), false);
    assert_eq!((&*first.came, &*first.warm), (&[a, b][..], &[a, b][..]));
    assert_eq!(first.next.leads(Kind::Eds), [a, b]);

    let second = first.next.after(&response(vec![made("a", 1), made("c", 1), made("c", 2)], vec![b]), false);
    assert_eq!((&*second.came, &*second.warm), (&[a, c][..], &[c][..]));
    assert_eq!(second.next.leads(Kind::Eds), [a, c]);
    assert_eq!(second.next.get(c).unwrap().body, 2, "the last one with a name counts");
    assert!(second.next.covers(&[a, c], &[]) && !second.next.covers(&[a, b], &[]) && second.next.covers(&[a, b], &[b]));

    let whole = second.next.after(&response(vec![made("b", 1)], vec![]), true);
    assert_eq!(whole.next.leads(Kind::Eds), [b]);
    let back = whole.next.after(&response(vec![made("a", 1), made("b", 1)], vec![]), true);
    assert_eq!(back.next.id, first.next.id, "the same resources are the same");
    assert_eq!(back.next.without(&[a]).id, whole.next.id);
}

#[test]
fn names_that_one_list_lacks() {
    let names = Names::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| names.of(name));
    assert_eq!(lacking(&[a, b, c], &[b]), [a, c]);
    assert_eq!(lacking(&[], &[b]), []);
    assert_eq!(lacking(&[a, c], &[]), [a, c]);
}
