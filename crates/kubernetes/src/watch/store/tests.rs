use serde_json::json;

use super::*;

fn service(name: &str, version: u64) -> Value {
    let port = json!({ "port": 80 });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "shop", "resourceVersion": version.to_string() },
        "spec": { "clusterIP": "10.0.0.1", "ports": [port] },
    })
}

fn names(ids: impl IntoIterator<Item = ObjectId>) -> Vec<String> {
    ids.into_iter().map(|id| id.name.to_string()).collect()
}

/// A whole list; what follows.
fn listed(store: &mut Store, objects: &[Value], patient: bool) -> Step {
    store.take(Event::Begin, patient);
    for object in objects {
        assert!(matches!(store.take(Event::Listed(object.clone()), patient), Step::Nothing));
    }
    store.take(Event::End, patient)
}

fn changed(step: Step) -> Changes {
    match step {
        Step::Changed(changes) => changes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_counts_as_a_whole_and_takes_away_what_is_not_in_it() {
    let mut store = Store::new(Kind::Service);
    let first = changed(listed(&mut store, &[service("a", 1), service("b", 2)], false));
    assert_eq!(names(first.upserts.iter().map(AnyObject::id)), ["a", "b"]);
    // The second list breaks off and begins anew: nothing follows from the first part.
    store.take(Event::Begin, false);
    store.take(Event::Listed(service("b", 2)), false);
    let second = changed(listed(&mut store, &[service("b", 2), service("c", 3)], false));
    assert_eq!(names(second.upserts.iter().map(AnyObject::id)), ["c"]);
    assert_eq!(names(second.removed), ["a"]);
}

#[test]
fn an_unchanged_list_changes_nothing() {
    let mut store = Store::new(Kind::Service);
    listed(&mut store, &[service("a", 1)], false);
    assert!(changed(listed(&mut store, &[service("a", 1)], false)).is_empty());
}

#[test]
fn older_lists_and_mass_disappearance_are_doubted_until_they_stay() {
    let mut store = Store::new(Kind::Service);
    let many: Vec<Value> = (0..30).map(|number| service(&format!("s{number}"), 100 + number)).collect();
    listed(&mut store, &many, false);
    let older = service("s0", 7);
    let lagging: Vec<Value> = std::iter::once(older).chain(many.iter().skip(1).cloned()).collect();
    assert!(matches!(listed(&mut store, &lagging, false), Step::Doubted(_)));
    assert!(matches!(listed(&mut store, &many[..10], false), Step::Doubted(_)));
    assert_eq!(store.count(), 30, "a doubted list takes nothing away");
    let believed = changed(listed(&mut store, &many[..10], true));
    assert_eq!(believed.removed.len(), 20);
}

#[test]
fn a_list_from_before_something_came_does_not_take_it_away() {
    let mut store = Store::new(Kind::VirtualService);
    let rule = |name: &str, version: u64| {
        let meta = json!({ "name": name, "namespace": "shop", "resourceVersion": version.to_string() });
        let spec = json!({ "hosts": [name], "http": [{ "route": [{ "destination": { "host": name } }] }] });
        json!({ "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta, "spec": spec })
    };
    listed(&mut store, &[rule("a", 1), rule("b", 2)], false);
    changed(store.take(Event::Put(rule("c", 3)), false));
    // All that it has is as it was seen; only what came last is not in it.
    assert!(matches!(listed(&mut store, &[rule("a", 1), rule("b", 2)], false), Step::Doubted(_)));
    assert_eq!(store.count(), 3);
    let newer = changed(listed(&mut store, &[rule("a", 1), rule("b", 2), rule("d", 4)], false));
    assert_eq!((names(newer.removed), newer.upserts.len()), (vec!["c".to_owned()], 1), "it went meanwhile");
    changed(store.take(Event::Gone("shop".to_owned(), "d".to_owned()), false));
    assert!(changed(listed(&mut store, &[rule("a", 1), rule("b", 2)], false)).is_empty(), "it was seen to go");
    changed(store.take(Event::Put(rule("d", 5)), false));
    let restored = changed(listed(&mut store, &[rule("a", 1)], true));
    assert_eq!(restored.removed.len(), 2, "it stayed so");
    assert!(changed(listed(&mut store, &[rule("a", 1)], false)).is_empty(), "from now on that is the truth");
}

#[test]
fn what_is_broken_is_said_and_takes_nothing_away() {
    let mut store = Store::new(Kind::VirtualService);
    let rule = |destination: Value, version: u64| {
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": { "name": "r", "namespace": "shop", "resourceVersion": version.to_string() },
            "spec": { "hosts": ["a"], "http": [{ "route": [{ "destination": destination }] }] },
        })
    };
    let good = changed(store.take(Event::Put(rule(json!({ "host": "a" }), 1)), false));
    assert_eq!((good.upserts.len(), good.ledger.is_none()), (1, true));
    let broken = changed(store.take(
        Event::Put(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": { "name": "r", "namespace": "shop", "resourceVersion": "2" },
            "spec": { "hosts": 7 },
        })),
        false,
    ));
    assert_eq!((broken.upserts.len(), broken.removed.len()), (0, 0), "it keeps its last good content");
    let said = broken.ledger.expect("the mistake is said");
    assert_eq!(said[0].path, "spec.hosts");
    assert!(said[0].place.is_none(), "an API server has no lines");
    let mended = changed(store.take(Event::Put(rule(json!({ "host": "b" }), 3)), false));
    assert_eq!(mended.ledger.map(|ledger| ledger.len()), Some(0));
}

#[test]
fn what_is_gone_is_gone_once() {
    let mut store = Store::new(Kind::Service);
    listed(&mut store, &[service("a", 1)], false);
    let gone = || Event::Gone("shop".into(), "a".into());
    assert_eq!(names(changed(store.take(gone(), false)).removed), ["a"]);
    assert!(matches!(store.take(gone(), false), Step::Nothing));
}
