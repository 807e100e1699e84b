//! When one authority replaces another, by who has its root.

use std::fs;
use std::sync::Mutex;

use super::*;

mod replicas;

/// Those who have to know: what they were told, and who of them does not have it.
#[derive(Default)]
struct Crowd {
    told: Mutex<Vec<String>>,
    missing: Mutex<Option<[Vec<String>; 2]>>,
}

impl Crowd {
    fn lack(&self, waiting: &[&str], unaware: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        *self.missing.lock().unwrap() = Some([names(waiting), names(unaware)]);
    }
}

impl Audience for &Crowd {
    fn tell(&self, roots: Vec<String>) {
        *self.told.lock().unwrap() = roots;
    }

    fn standing(&self, roots: &[String]) -> Option<Standing> {
        assert_eq!(*self.told.lock().unwrap(), roots, "others were asked about than were told");
        let [waiting, unaware] = self.missing.lock().unwrap().clone()?;
        Some(Standing { waiting, unaware, taken: 0 })
    }
}

/// An authority in a folder of its own, where certificates last an hour at most.
struct Bench {
    folder: PathBuf,
    keeper: Keeper,
    follower: Follower,
    crowd: Crowd,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn plan(folder: &std::path::Path) -> Plan {
    let names = vec!["istiod.istio-system.svc".to_owned()];
    let (folder, memory) = (folder.to_owned(), folder.join("in-use"));
    Plan { folder, memory, names, most: 3600, settle: Duration::ZERO, unstaged: false }
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("meltemi-follower-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (keeper, follower) = open(plan(&folder), "first").unwrap();
        let crowd = Crowd::default();
        (&crowd).tell(follower.roots.clone());
        Self { folder, keeper, follower, crowd }
    }

    fn step(&mut self) -> Stage {
        self.follower.step(&&self.crowd);
        self.keeper.current().stage
    }

    /// Puts another authority's files in place; gives its root.
    fn replace(&self, name: &str) -> String {
        let (cert, key) = ca::self_signed(name, now()).unwrap();
        for (file, text) in [("ca-key.pem", &key), ("root-cert.pem", &cert), ("ca-cert.pem", &cert)] {
            fs::write(self.folder.join(file), text).unwrap();
        }
        cert
    }

    fn signs(&self) -> String {
        self.keeper.current().authority.roots()[0].clone()
    }
}

#[test]
fn a_root_signs_when_all_have_it_and_not_before() {
    let mut bench = Bench::new("all");
    let (first, ends) = (bench.signs(), now() + 3600);
    bench.keeper.signed(ends);
    bench.crowd.lack(&["web-1"], &[]);
    let next = bench.replace("next");
    for _ in 0..5 {
        assert_eq!(bench.step(), Stage::Distributing);
    }
    assert_eq!(*bench.crowd.told.lock().unwrap(), [first.clone(), next.clone()]);
    // One that came and went must be seen twice.
    bench.crowd.lack(&[], &[]);
    assert_eq!(bench.step(), Stage::Distributing);
    bench.crowd.lack(&[], &["late-1"]);
    assert_eq!(bench.step(), Stage::Distributing);
    bench.crowd.lack(&[], &[]);
    assert_eq!(bench.step(), Stage::Distributing);
    assert_eq!(bench.signs(), first);
    assert!(matches!(bench.step(), Stage::Switched(_)));
    assert_eq!(bench.signs(), next);
    assert_eq!(bench.follower.rotation.stage(), Stage::Switched(ends), "until what it signed last has ended");
}

#[test]
fn many_agents_that_ask_for_certificates_at_once_are_given_time() {
    let of = |taken| Standing { taken, ..Standing::default() }.digesting();
    assert_eq!((of(0), of(10_000)), (Duration::ZERO, Duration::from_secs(50)));
}

#[test]
fn who_does_not_tell_is_waited_for_until_it_must_have_the_root() {
    let mut bench = Bench::new("late");
    bench.crowd.lack(&["frozen-1"], &["old-1"]);
    bench.keeper.signed(now() + 2);
    bench.replace("next");
    bench.step();
    assert_eq!(bench.step(), Stage::Distributing);
    while now() <= bench.follower.deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(matches!(bench.step(), Stage::Switched(_)), "nobody has a certificate without it");
}

#[test]
fn what_is_refused_once_is_looked_at_again() {
    let mut bench = Bench::new("again");
    let first = bench.signs();
    bench.crowd.lack(&["web-1"], &[]);
    let (cert, key) = ca::self_signed("future", now() + 123).unwrap();
    for (file, text) in [("ca-key.pem", &key), ("root-cert.pem", &cert), ("ca-cert.pem", &cert)] {
        fs::write(bench.folder.join(file), text).unwrap();
    }
    assert_eq!(bench.step(), Stage::Steady, "it has not begun");
    assert_eq!(bench.signs(), first);
    let begun = eventually(|| bench.step() == Stage::Distributing);
    assert!(begun, "it has begun, and nobody looked");
}

/// Tries until it is so, for a while.
fn eventually(mut so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn a_restart_knows_how_long_the_old_root_is_needed() {
    let mut bench = Bench::new("restart");
    bench.keeper.signed(now() + 3000);
    bench.follower.remember();
    let next = bench.replace("next");
    let (keeper, follower) = open(plan(&bench.folder), "first").unwrap();
    (bench.keeper, bench.follower) = (keeper, follower);
    (&bench.crowd).tell(bench.follower.roots.clone());
    assert_eq!(bench.follower.rotation.stage(), Stage::Distributing);
    bench.crowd.lack(&[], &[]);
    // Settling after a start takes a while, though of no time at all.
    assert_eq!(bench.step(), Stage::Distributing);
    assert!(matches!(bench.step(), Stage::Switched(_)));
    assert_eq!(bench.signs(), next);
    assert!(bench.follower.rotation.busy_until() >= now() + 2900);
    assert!(fs::read_to_string(bench.folder.join("in-use/root-cert.pem")).unwrap().contains(&next));
}

#[test]
fn what_is_remembered_may_be_behind_but_not_by_more_than_a_certificate_lasts() {
    assert_eq!(remembered(1000, 1015), 1015);
    assert_eq!(remembered(1000, 90_000), 1000 + REMEMBER);
    assert_eq!(remembered(90_000, 1015), 90_000 + REMEMBER, "certificates lasted longer before");
}
