use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::mpsc;

use super::*;

fn service(name: &str, port: u16) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n")
}

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("meltemi-files-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn summary(changes: &Changes) -> String {
    let upserts = changes.upserts.iter().map(|object| format!("+{}", object.id().name));
    let removed = changes.removed.iter().map(|id| format!("-{}", id.name));
    upserts.chain(removed).collect::<Vec<_>>().join(" ")
}

/// Runs a test beside a watch of a folder; the test gets what the watch tells.
fn watching<F: Future<Output = ()>>(folder: PathBuf, test: impl FnOnce(mpsc::UnboundedReceiver<Changes>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (tell, told) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let watched = watch(vec![folder], move |changes| _ = tell.send(changes), stop.clone());
        let tested = async {
            tokio::time::timeout(Duration::from_secs(20), test(told)).await.expect("the test takes too long");
            stop.cancel();
        };
        let (watched, ()) = tokio::join!(watched, tested);
        watched.unwrap();
    });
}

#[test]
fn files_that_are_written_renamed_and_removed_are_followed() {
    let folder = folder();
    fs::write(folder.join("a.yaml"), service("a", 80)).unwrap();
    watching(folder.clone(), |mut told| async move {
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
        fs::write(folder.join(".b.swp"), "not: [yaml").unwrap();
        fs::write(folder.join("b.yaml"), service("b", 80)).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "+b");
        fs::rename(folder.join("b.yaml"), folder.join("c.yaml")).unwrap();
        let moved = told.recv().await.unwrap();
        assert_eq!((summary(&moved).as_str(), moved.moved.len()), ("", 1), "renamed without a gap");
        fs::remove_file(folder.join("a.yaml")).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "-a");
    });
}

#[test]
fn a_half_written_file_loses_nothing_and_an_emptied_one_only_after_a_while() {
    let folder = folder();
    fs::write(folder.join("a.yaml"), service("a", 80)).unwrap();
    watching(folder.clone(), |mut told| async move {
        told.recv().await.unwrap();
        fs::write(folder.join("a.yaml"), "apiVersion: v1\nkind: {Serv").unwrap();
        let half = told.recv().await.unwrap();
        assert_eq!((summary(&half).as_str(), half.issues.len()), ("", 1));
        fs::write(folder.join("a.yaml"), "").unwrap();
        let emptied = Instant::now();
        assert_eq!(summary(&told.recv().await.unwrap()), "-a");
        assert!(emptied.elapsed() >= EMPTY - Duration::from_millis(100), "{:?}", emptied.elapsed());
    });
}

#[test]
fn a_mounted_config_map_is_swapped_in_one_step() {
    let folder = folder();
    for (version, port) in [("v1", 80), ("v2", 81)] {
        fs::create_dir(folder.join(format!("..{version}"))).unwrap();
        fs::write(folder.join(format!("..{version}/a.yaml")), service("a", port)).unwrap();
    }
    symlink("..v1", folder.join("..data")).unwrap();
    symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
    watching(folder.clone(), |mut told| async move {
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
        symlink("..v2", folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
    });
}

#[test]
fn folders_that_come_and_go_take_their_files_along() {
    let (folder, elsewhere) = (folder(), folder());
    fs::create_dir_all(elsewhere.join("more/deep")).unwrap();
    fs::write(elsewhere.join("more/deep/a.yaml"), service("a", 80)).unwrap();
    watching(folder.clone(), |mut told| async move {
        assert_eq!(summary(&told.recv().await.unwrap()), "");
        fs::rename(elsewhere.join("more"), folder.join("more")).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
        fs::write(folder.join("more/deep/b.yaml"), service("b", 80)).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "+b");
        fs::rename(folder.join("more"), elsewhere.join("more")).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "-a -b");
    });
}

#[test]
fn what_a_link_leads_to_is_followed_when_something_happens_beside_it() {
    let (folder, elsewhere) = (folder(), folder());
    fs::write(elsewhere.join("text"), service("a", 80)).unwrap();
    symlink(elsewhere.join("text"), folder.join("a.yaml")).unwrap();
    watching(folder.clone(), |mut told| async move {
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
        fs::write(elsewhere.join("text"), service("a", 81)).unwrap();
        fs::write(folder.join("b.yaml"), service("b", 80)).unwrap();
        let mut all = String::new();
        while !(all.contains("+a") && all.contains("+b")) {
            all += &summary(&told.recv().await.unwrap());
        }
    });
}

#[test]
fn a_file_that_cannot_be_read_keeps_what_it_held_and_is_reported() {
    let folder = folder();
    fs::write(folder.join("a.yaml"), service("a", 80)).unwrap();
    watching(folder.clone(), |mut told| async move {
        told.recv().await.unwrap();
        fs::write(folder.join("a.yaml"), b"\xff\xfe").unwrap();
        let closed = told.recv().await.unwrap();
        assert_eq!(summary(&closed), "");
        assert!(closed.ledger.unwrap()[0].to_string().contains("a.yaml:1:1: error [MLT0302]: the file cannot be read"));
        fs::write(folder.join("a.yaml"), service("a", 80)).unwrap();
        let mut last = told.recv().await.unwrap();
        while last.ledger.as_ref().is_none_or(|ledger| !ledger.is_empty()) {
            last = told.recv().await.unwrap();
        }
        assert_eq!(summary(&last), "", "it says what it said before");
    });
}

#[test]
fn a_file_that_was_given_by_name_is_followed() {
    let folder = folder();
    let file = folder.join("mesh.conf");
    fs::write(&file, service("a", 80)).unwrap();
    watching(file.clone(), |mut told| async move {
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
        fs::write(folder.join("other.yaml"), service("b", 80)).unwrap();
        fs::write(folder.join("new"), service("a", 81)).unwrap();
        fs::rename(folder.join("new"), &file).unwrap();
        assert_eq!(summary(&told.recv().await.unwrap()), "+a");
    });
}
