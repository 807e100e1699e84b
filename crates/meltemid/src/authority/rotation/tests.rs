//! The order of things when one authority replaces another, with authorities made here.

use std::path::PathBuf;

use super::*;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 3600;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("meltemi-rotation-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files of a new authority, as they are read from a folder, and its root.
fn made(folder: &Folder, name: &str) -> (Files, String) {
    let files = Files::open(&folder.0.join(name), name, NOW).unwrap().0;
    let root = files.authority(NOW).unwrap().roots()[0].clone();
    (files, root)
}

/// Who signs and who vouches for the control plane.
fn signers(rotation: &Rotation) -> [String; 2] {
    signers_at(rotation, NOW)
}

fn signers_at(rotation: &Rotation, now: i64) -> [String; 2] {
    [rotation.authority(now).unwrap().roots()[0].clone(), rotation.server(now).unwrap().roots()[0].clone()]
}

#[test]
fn a_root_is_known_before_it_signs_and_trusted_until_what_it_signed_has_ended() {
    let folder = Folder::new("stages");
    let ((a, root_a), (b, root_b)) = (made(&folder, "a"), made(&folder, "b"));
    let mut rotation = Rotation::restore(&folder.0.join("memory"), a.clone(), NOW).unwrap().0;
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Steady, vec![root_a.clone()]));
    rotation.aim(b.clone(), NOW).unwrap();
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Distributing, vec![root_a.clone(), root_b.clone()]));
    assert_eq!(signers(&rotation), [root_a.clone(), root_a.clone()]);
    rotation.aim(a, NOW).unwrap();
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Steady, vec![root_a.clone()]), "taken back");
    rotation.aim(b, NOW).unwrap();
    rotation.switch();
    rotation.ended(NOW + DAY);
    assert_eq!(rotation.stage(), Stage::Switched(NOW + DAY));
    assert_eq!(rotation.roots(), [root_b.clone(), root_a.clone()]);
    assert_eq!(signers(&rotation), [root_b.clone(), root_a.clone()], "the control plane keeps its certificate");
    assert!(rotation.forget(NOW), "one is in use that was not");
    assert!(!rotation.forget(NOW + DAY - 1));
    // The control plane shows another certificate first, since others may be late with it; then the root goes.
    assert!(rotation.forget(NOW + DAY));
    assert_eq!(signers_at(&rotation, NOW + DAY), [root_b.clone(), root_b.clone()]);
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Switched(NOW + DAY), vec![root_b.clone(), root_a]));
    assert!(!rotation.forget(NOW + DAY + OVERLAP - 1));
    assert!(rotation.forget(NOW + DAY + OVERLAP));
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Steady, vec![root_b]));
}

#[test]
fn a_third_authority_comes_while_a_former_one_is_trusted() {
    let folder = Folder::new("third");
    let ((a, root_a), (b, root_b), (c, root_c)) = (made(&folder, "a"), made(&folder, "b"), made(&folder, "c"));
    let mut rotation = Rotation::restore(&folder.0.join("memory"), a.clone(), NOW).unwrap().0;
    rotation.aim(b, NOW).unwrap();
    rotation.aim(c, NOW).unwrap();
    assert_eq!(rotation.roots(), [root_a.clone(), root_c.clone()], "what never signed is not trusted");
    rotation.switch();
    rotation.ended(NOW + DAY);
    // Back to the one whose root everybody has still.
    rotation.aim(a, NOW).unwrap();
    assert_eq!((rotation.stage(), rotation.roots().len()), (Stage::Distributing, 2), "nothing new has to be known");
    rotation.switch();
    rotation.ended(NOW + 2 * DAY);
    assert_eq!((rotation.stage(), rotation.busy_until()), (Stage::Switched(NOW + 2 * DAY), NOW + 2 * DAY));
    assert_eq!(signers(&rotation)[0], root_a);
    assert!(rotation.roots().contains(&root_c) && !rotation.roots().contains(&root_b));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let folder = Folder::new("restart");
    let ((a, root_a), (b, root_b)) = (made(&folder, "a"), made(&folder, "b"));
    let mut rotation = Rotation::restore(&folder.0.join("memory"), a, NOW).unwrap().0;
    rotation.save(&folder.0.join("memory"), NOW + 7).unwrap();
    // Replaced while nobody looked.
    rotation = Rotation::restore(&folder.0.join("memory"), b.clone(), NOW).unwrap().0;
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Distributing, vec![root_a.clone(), root_b.clone()]));
    rotation.switch();
    rotation.ended(NOW + DAY);
    rotation.save(&folder.0.join("memory"), NOW + 7).unwrap();
    let bundle = fs::read_to_string(folder.0.join("memory/root-cert.pem")).unwrap();
    assert_eq!(bundle, format!("{root_b}{root_a}"), "what agents are given");
    let (again, last) = Rotation::restore(&folder.0.join("memory"), b.clone(), NOW).unwrap();
    assert_eq!(last, Some(NOW + 7));
    assert_eq!((again.stage(), signers(&again)), (Stage::Switched(NOW + DAY), [root_b.clone(), root_a]));
    // It ended between taking the old memory away and putting the new one in its place.
    fs::rename(folder.0.join("memory"), folder.0.join("memory.part")).unwrap();
    let part = Rotation::restore(&folder.0.join("memory"), b.clone(), NOW).unwrap().0;
    assert_eq!(part.stage(), Stage::Switched(NOW + DAY));
    let later = Rotation::restore(&folder.0.join("memory"), b, NOW + DAY + OVERLAP).unwrap().0;
    assert_eq!((later.stage(), later.roots()), (Stage::Steady, vec![root_b]));
}

#[test]
fn files_that_would_not_do_change_nothing() {
    let folder = Folder::new("bad");
    let ((a, root_a), (b, _)) = (made(&folder, "a"), made(&folder, "b"));
    let mut rotation = Rotation::restore(&folder.0.join("memory"), a, NOW).unwrap().0;
    let mixed = folder.0.join("mixed");
    b.write(&mixed).unwrap();
    fs::copy(folder.0.join("a/ca-key.pem"), mixed.join("ca-key.pem")).unwrap();
    assert!(rotation.aim(Files::read(&mixed).unwrap(), NOW).is_err());
    assert_eq!((rotation.stage(), rotation.roots()), (Stage::Steady, vec![root_a]));
}

#[test]
fn a_root_made_here_is_made_anew_and_others_are_not() {
    let folder = Folder::new("prolong");
    let late = NOW + 9 * 365 * DAY;
    let (files, old) = made(&folder, "a");
    files.prolong(&folder.0.join("a"), late).unwrap();
    let again = Files::read(&folder.0.join("a")).unwrap();
    let mut rotation = Rotation::restore(&folder.0.join("memory"), files.clone(), late).unwrap().0;
    rotation.aim(again, late).unwrap();
    assert_eq!(rotation.stage(), Stage::Distributing, "as any other root");
    assert_eq!(rotation.roots()[0], old);
    fs::remove_file(folder.0.join("a/istio-generated")).unwrap();
    assert!(files.prolong(&folder.0.join("a"), late).is_err());
    // Below another root, and put in place of one that was made here.
    let below = folder.0.join("a/below");
    files.write(&below).unwrap();
    fs::write(below.join("root-cert.pem"), [old, made(&folder, "b").1].concat()).unwrap();
    fs::write(below.join("istio-generated"), "").unwrap();
    assert!(Files::read(&below).unwrap().prolong(&below, late).is_err());
}
