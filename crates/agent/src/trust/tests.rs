use super::*;

/// A root and a workload's identity below it.
fn authority(name: &str) -> (String, Identity) {
    let (root, key) = ca::self_signed(name, now()).unwrap();
    let (cert, key) = (root.as_bytes(), key.as_bytes());
    let plugged = ca::Plugged { cert, key, root: cert, chain: &[], crl: &[] };
    let (issued, key) = ca::Authority::load(&plugged, now()).unwrap().serve(&["a.test".to_owned()], now()).unwrap();
    (root.clone(), Identity { chain: issued.chain[0].clone(), key, roots: root, lifetime: (now(), issued.not_after) })
}

/// Whether something is ready now.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = tokio::task::yield_now() => None,
    }
}

#[tokio::test]
async fn roots_are_known_when_every_stream_of_the_proxy_took_them() {
    let (trust, _current) = Trust::new(Duration::ZERO);
    let (old, identity) = authority("old");
    let (new, _) = authority("new");
    trust.renew(identity, trust.told());
    let both = format!("{old}{new}");
    trust.tell(&both).unwrap();
    let (first, second) = (trust.taken().asked(), trust.taken().asked());
    assert_eq!(at_once(trust.known(&both)).await, None, "nobody took them");
    first.took(&both.as_str().into());
    second.took(&old.as_str().into());
    assert_eq!(at_once(trust.known(&both)).await, None, "one has the old ones");
    second.took(&both.as_str().into());
    assert!(trust.known(&both).await);
    drop(first);
    trust.tell(&new).unwrap();
    assert!(!trust.known(&both).await, "others were told since");
    drop(second);
    assert!(trust.known(&new).await, "nobody is left who would have to take them");
    for nothing in ["", "no roots"] {
        assert!(trust.tell(nothing).is_err(), "{nothing}");
    }
    assert_eq!(trust.identity().unwrap().roots, new);
}

#[tokio::test]
async fn what_was_told_while_a_certificate_was_made_is_newer_than_what_came_with_it() {
    let (trust, _current) = Trust::new(Duration::ZERO);
    let ((old, first), (new, _)) = (authority("old"), authority("new"));
    trust.renew(first, trust.told());
    let asked = trust.told();
    trust.tell(&new).unwrap();
    let late = Identity { roots: old.clone(), ..authority("old").1 };
    trust.renew(late, asked);
    assert_eq!(trust.identity().unwrap().roots, new);
    trust.renew(Identity { roots: old.clone(), ..authority("old").1 }, trust.told());
    assert_eq!(trust.identity().unwrap().roots, old);
}

#[tokio::test]
async fn a_certificate_is_renewed_when_another_root_signs() {
    let (trust, _current) = Trust::new(Duration::ZERO);
    let ((old, identity), (new, _)) = (authority("old"), authority("new"));
    trust.renew(identity, trust.told());
    let mut turned = std::pin::pin!(trust.turned(trust.told()));
    assert_eq!(at_once(&mut turned).await, None);
    trust.tell(&format!("{old}{new}")).unwrap();
    assert_eq!(at_once(&mut turned).await, None, "the new root is known, the old one signs");
    trust.tell(&format!("{new}{old}")).unwrap();
    assert_eq!(at_once(&mut turned).await, Some(()));
    assert_eq!(at_once(trust.turned(0)).await, Some(()), "also when it was told before somebody waits");
    assert_eq!(at_once(trust.turned(trust.told())).await, None, "once is enough");
}
