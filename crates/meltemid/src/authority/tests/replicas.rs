//! Replicas with one authority: one decides when another signs, and the others go with it.

use super::*;

/// The files of an authority, from one folder into another.
fn copy(from: &Bench, to: &std::path::Path) {
    for file in ["ca-key.pem", "root-cert.pem", "ca-cert.pem"] {
        fs::create_dir_all(to).unwrap();
        fs::copy(from.folder.join(file), to.join(file)).unwrap();
    }
}

/// Another replica with the authority of `first`, which remembers what it is given.
fn beside(first: &Bench, name: &str, remembered: &BTreeMap<String, Vec<u8>>) -> Bench {
    let folder = std::env::temp_dir().join(format!("meltemi-follower-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    copy(first, &folder);
    if !remembered.is_empty() {
        memory::unpack(&plan(&folder).memory, remembered).unwrap();
    }
    let (keeper, mut follower) = open(plan(&folder), "first").unwrap();
    follower.shared = true;
    let crowd = Crowd::default();
    (&crowd).tell(follower.roots.clone());
    crowd.lack(&[], &[]);
    Bench { folder, keeper, follower, crowd }
}

/// What each says reaches the other, and what the first writes the second.
fn exchange(leader: &mut Bench, other: &mut Bench) {
    let [said, heard] = [leader.follower.report(), other.follower.report()];
    leader.follower.peers = Peers { leads: true, said: Some(vec![heard]), ..Peers::default() };
    let state = Some(leader.follower.entries());
    other.follower.peers = Peers { leads: false, said: Some(vec![said]), state, ..Peers::default() };
}

/// Two replicas with one authority, the first of which decides, on the way to the authority whose root is given.
fn pair(name: &str) -> (Bench, Bench, String) {
    let mut leader = Bench::new(name);
    leader.follower.shared = true;
    leader.crowd.lack(&[], &[]);
    leader.keeper.last.store(now(), Ordering::SeqCst);
    let other = beside(&leader, &format!("{name}-other"), &BTreeMap::new());
    other.keeper.last.store(now(), Ordering::SeqCst);
    let next = leader.replace("next");
    copy(&leader, &other.folder);
    (leader, other, next)
}

fn rounds(leader: &mut Bench, other: &mut Bench, count: usize) {
    for _ in 0..count {
        leader.step();
        other.step();
        exchange(leader, other);
    }
}

#[test]
fn a_root_signs_when_the_proxies_of_all_replicas_have_it() {
    let (mut leader, mut other, next) = pair("union");
    let first = leader.signs();
    other.crowd.lack(&["web-1"], &[]);
    other.keeper.signed(now() + 3000);
    rounds(&mut leader, &mut other, 5);
    assert_eq!((leader.signs(), other.signs()), (first.clone(), first.clone()), "a proxy of the other one lacks it");
    other.crowd.lack(&[], &[]);
    // The other one knows it first, and does not decide.
    for _ in 0..5 {
        other.step();
    }
    assert_eq!(other.signs(), first);
    exchange(&mut leader, &mut other);
    assert!(
        matches!(leader.step(), Stage::Switched(until) if until >= now() + 2900),
        "what the other one signed counts"
    );
    assert_eq!(leader.signs(), next);

    // Before it hears of that it signs once more below the former root.
    other.keeper.signed(now() + 3500);
    exchange(&mut leader, &mut other);
    assert!(matches!(other.step(), Stage::Switched(_)));
    assert_eq!((other.signs(), other.follower.roots.clone()), (next, leader.follower.roots.clone()));
    rounds(&mut leader, &mut other, 2);
    for bench in [&leader, &other] {
        assert!(
            bench.follower.rotation.busy_until() >= now() + 3400,
            "the former root is trusted as long as it is in use"
        );
    }
}

#[test]
fn nobody_decides_without_word_of_the_others() {
    let (mut leader, mut other, _) = pair("cut-off");
    let first = leader.signs();
    leader.keeper.signed(now() + 3000);
    leader.follower.peers = Peers { leads: true, ..Peers::default() };
    for _ in 0..5 {
        assert_eq!(leader.step(), Stage::Distributing);
    }
    for _ in 0..5 {
        other.step();
    }
    exchange(&mut leader, &mut other);
    // Proxies of one that left are connected nowhere.
    leader.follower.peers.moving = true;
    assert_eq!(leader.step(), Stage::Distributing);
    leader.follower.peers.moving = false;
    leader.follower.peers.leads = false;
    for _ in 0..5 {
        assert_eq!(leader.step(), Stage::Distributing);
    }
    assert_eq!(leader.signs(), first);
}

#[test]
fn a_replica_without_a_memory_goes_on_where_the_others_are() {
    let (mut leader, mut other, next) = pair("new");
    let first = leader.signs();
    leader.keeper.signed(now() + 3000);
    leader.step();
    leader.follower.remember();
    // In the middle of making the root known all pods are replaced.
    let mut third = beside(&leader, "new-third", &leader.follower.entries());
    assert_eq!((third.step(), third.signs()), (Stage::Distributing, first.clone()));
    assert_eq!(third.follower.roots, [first, next.clone()]);
    rounds(&mut leader, &mut other, 5);
    assert_eq!(leader.signs(), next);
    let mut fourth = beside(&leader, "new-fourth", &leader.follower.entries());
    assert!(matches!(fourth.step(), Stage::Switched(until) if until >= now() + 2900));
    assert_eq!((fourth.signs(), fourth.follower.roots.clone()), (next, leader.follower.roots.clone()));
    // One that was away all the time.
    third.follower.peers.state = Some(leader.follower.entries());
    assert!(matches!(third.step(), Stage::Switched(_)));
}

#[test]
fn what_was_signed_last_is_known_to_all_and_no_reason_to_write() {
    let (mut leader, mut other, _) = pair("last");
    other.keeper.signed(now() + 3000);
    other.follower.remember();
    let state = other.follower.entries();
    assert!(memory::last(&state).unwrap() >= now() + 2900 && memory::same(&state, &leader.follower.entries()));
    leader.follower.peers.state = Some(state);
    leader.step();
    assert!(leader.keeper.last.load(Ordering::SeqCst) >= now() + 2900);
}

#[test]
fn a_root_that_a_control_plane_made_is_made_anew_in_its_secret_before_its_end() {
    const YEAR: i64 = 365 * 24 * 3600;
    let mut bench = Bench::new("renewal");
    fs::remove_file(bench.folder.join("istio-generated")).unwrap();
    fs::write(bench.folder.join(".of-secret"), "istio-ca-secret").unwrap();
    let put = |bench: &mut Bench, made: i64| {
        let (cert, key) = ca::self_signed("theirs", made).unwrap();
        for (file, text) in [("ca-key.pem", &key), ("root-cert.pem", &cert), ("ca-cert.pem", &cert)] {
            fs::write(bench.folder.join(file), text).unwrap();
        }
        let _ = fs::remove_dir_all(&plan(&bench.folder).memory);
        (bench.keeper, bench.follower) = open(plan(&bench.folder), "first").unwrap();
        bench.follower.shared = true;
        (&bench.crowd).tell(bench.follower.roots.clone());
        bench.follower.peers.leads = true;
        bench.step();
        (cert, key)
    };
    put(&mut bench, now() - 7 * YEAR);
    assert!(bench.follower.renewed.is_none(), "three of ten years are left");
    let (cert, key) = put(&mut bench, now() - 9 * YEAR);
    let (before, files) = bench.follower.renewed.take().unwrap();
    assert_eq!((before, files["ca-key.pem"].clone()), (cert.into_bytes(), key.into_bytes()));
    let again = Files::of(&files).unwrap().authority(now()).unwrap();
    assert!(again.not_after() > now() + 9 * YEAR);
    bench.follower.peers.leads = false;
    bench.step();
    assert!(bench.follower.renewed.is_none(), "it is for the holder of the Lease to do");
    fs::write(bench.folder.join(".of-secret"), "cacerts").unwrap();
    bench.follower.peers.leads = true;
    bench.step();
    assert!(bench.follower.renewed.is_none(), "an administrator's is the administrator's");
}
