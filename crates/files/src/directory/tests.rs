use super::*;

fn service(name: &str, port: u16) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n---\n")
}

fn files(all: &[(&str, &str)]) -> BTreeMap<PathBuf, Option<String>> {
    all.iter().map(|(path, text)| (PathBuf::from(path), Some((*text).to_owned()))).collect()
}

fn summary(changes: &Changes) -> String {
    let upserts = changes.upserts.iter().map(|object| format!("+{}", object.id().name));
    let removed = changes.removed.iter().map(|id| format!("-{}", id.name));
    let moved = changes.moved.iter().map(|(id, origin)| format!("~{}@{}", id.name, origin.line));
    upserts.chain(removed).chain(moved).collect::<Vec<_>>().join(" ")
}

#[test]
fn changes_are_what_differs() {
    let mut directory = Directory::new(Mode::Lenient);
    let both = service("a", 80) + &service("b", 80);
    assert_eq!(summary(&directory.update(files(&[("x", &both)]))), "+a +b");
    assert_eq!(summary(&directory.update(files(&[("x", &both)]))), "");
    let commented = format!("# a comment\n{both}");
    assert_eq!(summary(&directory.update(files(&[("x", &commented)]))), "~a@2 ~b@7");
    let edited = commented.replace("80", "81");
    assert_eq!(summary(&directory.update(files(&[("x", &edited)]))), "+a +b");
    assert_eq!(summary(&directory.update(files(&[("y", &edited)]))), "~a@2 ~b@7", "a renamed file moves its objects");
    assert_eq!(summary(&directory.update(files(&[]))), "-a -b");
}

#[test]
fn broken_files_and_objects_keep_their_last_good_content() {
    let mut directory = Directory::new(Mode::Lenient);
    let good = service("a", 80) + &service("b", 80);
    directory.update(files(&[("x", &good)]));
    let changes = directory.update(files(&[("x", "apiVersion: v1\nkind: {")]));
    assert_eq!(summary(&changes), "");
    assert!(changes.issues[0].place.as_ref().unwrap().line >= 2, "{:?}", changes.issues);
    let wrong = service("a", 80).replace("80", "eighty") + &service("b", 81);
    let changes = directory.update(files(&[("x", &wrong)]));
    assert_eq!(summary(&changes), "+b");
    assert_eq!(changes.issues[0].object.as_ref().unwrap().name, "a");
    assert_eq!(summary(&directory.update(files(&[("x", &service("b", 81))]))), "-a ~b@1");
}

#[test]
fn the_first_of_two_files_has_the_object_and_the_other_takes_over() {
    let mut directory = Directory::new(Mode::Lenient);
    let changes = directory.update(files(&[("x", &service("a", 80)), ("y", &service("a", 81))]));
    assert_eq!(summary(&changes), "+a");
    assert_eq!(changes.issues[0].message, "it is in x:1 and in y:1; the first is used");
    assert_eq!(summary(&directory.update(files(&[("y", &service("a", 81))]))), "+a");
}
