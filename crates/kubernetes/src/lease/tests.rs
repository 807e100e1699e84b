use super::*;

fn candidate(identity: &str) -> Candidate {
    Candidate { namespace: "istio-system".into(), name: "writer".into(), identity: identity.into() }
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_keeps_the_lease_for_its_term_by_our_clock() {
    let (one, two) = (candidate("one"), candidate("two"));
    let spec = held(&one, None);
    let mut observed = None;
    assert!(!may_take(&spec, &two, &mut observed));
    tokio::time::advance(TERM - Duration::from_secs(1)).await;
    assert!(!may_take(&spec, &two, &mut observed));
    // It renews: its term begins again.
    let renewed = held(&one, Some(&spec));
    assert!(!may_take(&renewed, &two, &mut observed));
    tokio::time::advance(TERM - Duration::from_secs(1)).await;
    assert!(!may_take(&renewed, &two, &mut observed));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(may_take(&renewed, &two, &mut observed));
    assert_eq!(held(&two, Some(&renewed)).lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_own_lease_and_one_that_was_given_back_are_taken_at_once() {
    let one = candidate("one");
    let spec = held(&one, None);
    assert!(may_take(&spec, &one, &mut None));
    let back = LeaseSpec { holder_identity: Some(String::new()), ..spec };
    assert!(may_take(&back, &candidate("two"), &mut None));
}

#[tokio::test(start_paused = true)]
async fn who_could_not_renew_does_not_write_though_nobody_has_told_it_so() {
    let hold = Hold::default();
    let lead = hold.lead();
    assert!(!lead.holds());
    assert!(!hold.tell(Some(Instant::now() + GIVE_UP)));
    assert!(lead.holds());
    tokio::time::advance(GIVE_UP).await;
    assert!(!lead.holds());
}
