use super::*;

fn resource(name: &str, body: &str) -> Encoded {
    Encoded::from_body(name, ResourceType::Cds.url(), body.as_bytes())
}

fn changed(publisher: &Publisher, since: Revision) -> Vec<String> {
    let snapshot = publisher.snapshot();
    let mut names: Vec<_> = snapshot
        .changed(&[1], since)
        .map(|(name, encoded)| format!("{}{name}", if encoded.is_some() { "+" } else { "-" }))
        .collect();
    names.sort();
    names
}

#[test]
fn the_log_says_what_changed_since_and_only_the_last_change_of_a_name() {
    let publisher = Publisher::new();
    let _stream = publisher.register(7, Arc::new(AtomicU64::new(0)));
    let mut commit = publisher.commit();
    for name in ["a", "b", "c"] {
        commit.set(1, resource(name, "1"));
    }
    commit.publish();
    let first = publisher.snapshot().revision();
    let mut commit = publisher.commit();
    commit.set(1, resource("a", "2"));
    commit.remove(1, &"b".into());
    commit.publish();
    let mut commit = publisher.commit();
    commit.set(1, resource("a", "3"));
    commit.publish();
    assert_eq!(changed(&publisher, first), ["+a", "-b"]);
    assert_eq!(changed(&publisher, first + 1), ["+a"]);
    assert_eq!(publisher.snapshot().all(&[1]).count(), 2);
    assert!(publisher.snapshot().get(&[1], "b").is_none());
}

#[test]
fn tombstones_go_when_every_stream_has_passed_them() {
    let publisher = Publisher::new();
    let floor = Arc::new(AtomicU64::new(0));
    let mut commit = publisher.commit();
    commit.set(1, resource("a", "1"));
    commit.set(1, resource("b", "1"));
    commit.publish();
    let _notify = publisher.register(7, floor.clone());
    let mut commit = publisher.commit();
    commit.remove(1, &"a".into());
    commit.publish();
    let mut commit = publisher.commit();
    commit.set(1, resource("b", "2"));
    commit.publish();
    assert_eq!(changed(&publisher, 1), ["+b", "-a"], "the stream has not passed it");
    floor.store(publisher.snapshot().revision(), Ordering::Relaxed);
    let mut commit = publisher.commit();
    commit.set(1, resource("b", "3"));
    commit.publish();
    assert_eq!(changed(&publisher, 1), ["+b"]);
}
