use super::*;

fn service(name: &str, port: u16) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n---\n")
}

/// A directory, of which a test says what is in it as a whole.
struct Whole(Directory);

impl Whole {
    fn new() -> Self {
        Self(Directory::new(Mode::Lenient))
    }

    fn update(&mut self, all: &[(&str, &str)]) -> Changes {
        let gone = self.0.under(Path::new("")).map(|path| (path.to_owned(), Look::Gone));
        let mut looks: BTreeMap<_, _> = gone.collect();
        looks.extend(all.iter().map(|(path, text)| (PathBuf::from(path), Look::Text((*text).to_owned()))));
        self.0.update(looks)
    }
}

fn summary(changes: &Changes) -> String {
    let upserts = changes.upserts.iter().map(|object| format!("+{}", object.id().name));
    let removed = changes.removed.iter().map(|id| format!("-{}", id.name));
    let moved = changes.moved.iter().map(|(id, origin)| format!("~{}@{}", id.name, origin.line));
    upserts.chain(removed).chain(moved).collect::<Vec<_>>().join(" ")
}

#[test]
fn changes_are_what_differs() {
    let mut directory = Whole::new();
    let both = service("a", 80) + &service("b", 80);
    assert_eq!(summary(&directory.update(&[("x", &both)])), "+a +b");
    assert_eq!(summary(&directory.update(&[("x", &both)])), "");
    let commented = format!("# a comment\n{both}");
    assert_eq!(summary(&directory.update(&[("x", &commented)])), "~a@2 ~b@7");
    let edited = commented.replace("80", "81");
    assert_eq!(summary(&directory.update(&[("x", &edited)])), "+a +b");
    assert_eq!(summary(&directory.update(&[("y", &edited)])), "~a@2 ~b@7", "a renamed file moves its objects");
    assert_eq!(summary(&directory.update(&[])), "-a -b");
}

#[test]
fn broken_files_and_objects_keep_their_last_good_content() {
    let mut directory = Whole::new();
    let good = service("a", 80) + &service("b", 80);
    directory.update(&[("x", &good)]);
    let changes = directory.update(&[("x", "apiVersion: v1\nkind: {")]);
    assert_eq!(summary(&changes), "");
    assert!(changes.issues[0].place.as_ref().unwrap().line >= 2, "{:?}", changes.issues);
    let wrong = service("a", 80).replace("80", "eighty") + &service("b", 81);
    let changes = directory.update(&[("x", &wrong)]);
    assert_eq!(summary(&changes), "+b");
    assert_eq!(changes.issues[0].object.as_ref().unwrap().name, "a");
    assert_eq!(summary(&directory.update(&[("x", &service("b", 81))])), "-a ~b@1");
}

#[test]
fn the_first_of_two_files_has_the_object_and_the_other_takes_over() {
    let mut directory = Whole::new();
    let changes = directory.update(&[("x", &service("a", 80)), ("y", &service("a", 81))]);
    assert_eq!(summary(&changes), "+a");
    assert_eq!(changes.issues[0].message, "it is in x:1 and in y:1; the first is used");
    assert_eq!(summary(&directory.update(&[("y", &service("a", 81))])), "+a");
}

#[test]
fn a_file_that_cannot_be_read_keeps_what_it_held() {
    let mut directory = Directory::new(Mode::Lenient);
    let look = |look: Look| BTreeMap::from([(PathBuf::from("x"), look)]);
    directory.update(look(Look::Text(service("a", 80))));
    let changes = directory.update(look(Look::Closed("permission denied".to_owned())));
    assert_eq!(summary(&changes), "");
    assert_eq!(changes.issues[0].message, "the file cannot be read: permission denied");
    let again = directory.update(look(Look::Closed("permission denied".to_owned())));
    assert!(again.is_empty() && again.ledger.is_none(), "{again:?}");
    let back = directory.update(look(Look::Text(service("a", 80))));
    assert_eq!((summary(&back).as_str(), back.ledger), ("", Some(Vec::new())));
    assert_eq!(summary(&directory.update(look(Look::Gone))), "-a");
}

#[test]
fn an_object_in_two_files_is_said_once_and_stays_on_the_ledger_until_it_is_in_one() {
    let mut directory = Whole::new();
    let (first, second) = (service("a", 80), service("a", 81));
    directory.update(&[("x", &first)]);
    let doubled = directory.update(&[("x", &first), ("y", &second)]);
    assert_eq!((doubled.issues.len(), doubled.ledger.map(|ledger| ledger.len())), (1, Some(1)));
    let other = service("b", 80);
    let beside = directory.update(&[("x", &first), ("y", &second), ("z", &other)]);
    assert_eq!((beside.issues.len(), summary(&beside).as_str()), (0, "+b"));
    let single = directory.update(&[("x", &first), ("z", &other)]);
    assert_eq!((summary(&single).as_str(), single.ledger), ("", Some(Vec::new())));
}

/// Whatever the order of changes, what is shown is what one look at everything would show.
#[test]
fn many_small_changes_lead_where_one_look_leads() {
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut directory = Directory::new(Mode::Lenient);
    let mut shown = BTreeMap::<ObjectId, AnyObject>::new();
    let mut texts = BTreeMap::<PathBuf, String>::new();
    for round in 0..400 {
        let mut looks = BTreeMap::new();
        for _ in 0..=draw(3) {
            let path = PathBuf::from(format!("f{}", draw(4)));
            if draw(4) == 0 {
                texts.remove(&path);
                looks.insert(path, Look::Gone);
            } else {
                let objects = (0..draw(4)).map(|_| service(["a", "b", "c"][draw(3) as usize], 80 + draw(3) as u16));
                let text = objects.collect::<String>();
                texts.insert(path.clone(), text.clone());
                looks.insert(path, Look::Text(text));
            }
        }
        let changes = directory.update(looks);
        for id in changes.removed {
            assert!(shown.remove(&id).is_some(), "{round}: {id} was not there");
        }
        shown.extend(changes.upserts.into_iter().map(|object| (object.id(), object)));
        let all = texts.iter().map(|(path, text)| (path.clone(), Look::Text(text.clone())));
        let mut whole = Directory::new(Mode::Lenient);
        let once: BTreeMap<_, _> =
            whole.update(all.collect()).upserts.into_iter().map(|object| (object.id(), object)).collect();
        assert_eq!(shown.keys().collect::<Vec<_>>(), once.keys().collect::<Vec<_>>(), "{round}");
        assert!(shown.iter().all(|(id, object)| object.same_content(&once[id])), "{round}");
        assert_eq!(directory.ledger(), whole.ledger(), "{round}");
    }
}
