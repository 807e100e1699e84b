use super::*;
use crate::edits::Kind;
use crate::shape::Size;

/// All files below a folder with their texts.
fn read(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(read(&path));
        } else {
            found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    found
}

fn fresh(name: &str) -> Folder {
    Folder::new(&std::env::temp_dir().join(format!("meltemi-meshgen-{}-{name}", std::process::id()))).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let [one, other] = ["one", "other"].map(fresh);
    for folder in [&one, &other] {
        let objects = folder.fill(&Mesh::new(Size::S.shape(), 9)).unwrap();
        assert_eq!(objects, 6 + 1 + 100 + 500 + 100 + 50 + 20 + 10 + 10);
    }
    let relative = |folder: &Folder| {
        let files = read(folder.path()).into_iter();
        let below = files.map(|(path, text)| (path.strip_prefix(folder.path()).unwrap().to_owned(), text));
        below.collect::<Vec<_>>()
    };
    assert_eq!(relative(&one), relative(&other));
    for folder in [one, other] {
        std::fs::remove_dir_all(folder.path()).unwrap();
    }
}

#[test]
fn a_new_service_that_goes_leaves_nothing() {
    let folder = fresh("gone");
    let mesh = Mesh::new(Size::S.shape(), 9);
    folder.apply(&mesh.edit(Kind::NewService, 4).unwrap().change).unwrap();
    let texts = read(folder.path());
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].1.contains("name: new-4"), "{}", texts[0].1);
    folder.apply(&mesh.edit(Kind::DeletedService, 4).unwrap().change).unwrap();
    assert_eq!(read(folder.path()), []);
    std::fs::remove_dir_all(folder.path()).unwrap();
}
