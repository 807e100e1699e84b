//! `meltemi inject` as a program: whole pods as recorded, what it says, how it ends. A case is a folder under `inject` with `in.yaml`, and, where
//! they are needed, `values.yaml`, `mesh.yaml`, `injector.yaml` and `args`; `out.yaml` is what is printed, `err.txt` what is said.
//! `UPDATE_GOLDEN=1` rewrites these two; their diff is to be read like code.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails fails the test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi"));
    command.env_remove("ENABLE_NATIVE_SIDECARS").env_remove("COMPLIANCE_POLICY").arg("inject");
    command
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inject");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The command of a case, in its folder, so that what it says names files as the case has them.
fn command(case: &Path) -> Command {
    let mut command = program();
    command.current_dir(case);
    for (flag, file) in
        [("--valuesFile", "values.yaml"), ("--meshConfigFile", "mesh.yaml"), ("--injectConfigFile", "injector.yaml")]
    {
        if case.join(file).exists() {
            command.args([flag, file]);
        }
    }
    let more = std::fs::read_to_string(case.join("args")).unwrap_or_default();
    command.args(more.split_whitespace());
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// With a text on standard input.
fn fed(command: &mut Command, text: &str) -> Output {
    let piped = command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn outputs_are_as_recorded_and_stay_when_injected_again() {
    let update = std::env::vars().any(|(name, value)| name == "UPDATE_GOLDEN" && value == "1");
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 10, "the cases are there");
    for case in cases {
        let output = command(&case).args(["-f", "in.yaml"]).output().unwrap();
        let (out, err) = texts(&output);
        let refused = case.file_name().unwrap().to_string_lossy().starts_with("refused");
        assert_eq!(output.status.code(), Some(i32::from(refused)), "{}: {err}", case.display());
        assert_eq!(out.is_empty(), refused, "{}", case.display());
        for (file, text) in [("out.yaml", &out), ("err.txt", &err)] {
            let path = case.join(file);
            if update && text.is_empty() {
                let _ = std::fs::remove_file(path);
            } else if update {
                std::fs::write(&path, text).unwrap();
            } else if std::fs::read_to_string(&path).unwrap_or_default() != **text {
                wrong.push(path.display().to_string());
            }
        }
        if !refused {
            let again = fed(&mut command(&case), &out);
            assert_eq!(texts(&again).0, out, "{} again", case.display());
        }
    }
    assert!(wrong.is_empty(), "other output than recorded: {wrong:?}; look at it with UPDATE_GOLDEN=1 and git diff");
}

#[test]
fn what_is_not_injected_is_printed_byte_for_byte() {
    let text = "# a comment\nkind:   Odd\nlist: [ 1,2 ]\n---\n\n---\n{\"kind\": \"Json\"}\n--- # end\n# only a comment";
    let output = fed(&mut program(), text);
    assert_eq!(texts(&output).0, text);
}

#[test]
fn files_follow_each_other_as_documents() {
    let folder = std::env::temp_dir().join(format!("meltemi-inject-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let paths = ["a.yaml", "b.yaml"].map(|name| folder.join(name));
    std::fs::write(&paths[0], "kind: A").unwrap();
    std::fs::write(&paths[1], "kind: B\n").unwrap();
    let written = folder.join("out.yaml");
    let ended = program().arg("-f").arg(&paths[0]).arg("-f").arg(&paths[1]).arg("-o").arg(&written).output().unwrap();
    let out = std::fs::read_to_string(&written).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!((ended.status.code(), out.as_str()), (Some(0), "kind: A\n---\nkind: B\n"));
}

#[test]
fn nodes_the_environment_and_flags_say_where_proxies_stand() {
    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a}]}\n";
    const OLD: &str =
        "---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {nodeInfo: {kubeletVersion: v1.32.1}}\n";
    let native = |command: &mut Command, text: &str| texts(&fed(command, text)).0.contains("restartPolicy: Always");
    assert!(native(&mut program(), POD));
    assert!(!native(&mut program(), &format!("{POD}{OLD}")));
    assert!(!native(program().args(["--kubernetes-version", "v1.32.4"]), POD));
    assert!(native(program().args(["--kubernetes-version", "1.33"]), POD));
    assert!(!native(program().env("ENABLE_NATIVE_SIDECARS", "false"), POD));
    assert!(native(program().env("ENABLE_NATIVE_SIDECARS", "true"), &format!("{POD}{OLD}")));
}

#[test]
fn the_older_name_of_the_command_is_known() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi"));
    let output = fed(command.arg("kube-inject"), "kind: A\n");
    assert_eq!((output.status.code(), texts(&output).0.as_str()), (Some(0), "kind: A\n"));
}

#[test]
fn the_exit_code_says_whether_a_file_is_wrong_or_not_there() {
    let missing = program().args(["-f", "/nowhere/there.yaml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(texts(&missing).1.contains("/nowhere/there.yaml"));
    let unused = program().output().unwrap();
    assert_eq!(unused.status.code(), Some(2));
    let broken = fed(&mut program(), "kind: A\n---\na: {b\n");
    let (out, err) = texts(&broken);
    assert_eq!((broken.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.starts_with("-:3:"), "{err}");
}
