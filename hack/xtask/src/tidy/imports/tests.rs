use serde_json::json;

use super::*;

#[test]
fn an_edge_that_the_table_lacks_is_named_with_the_line_to_change() {
    let on = |name: &str, kind: Value| json!({ "name": name, "kind": kind });
    let packages = [
        json!({ "name": "names", "manifest_path": "names/Cargo.toml", "dependencies": [on("serde", Value::Null)] }),
        json!({ "name": "xds", "manifest_path": "xds/Cargo.toml", "dependencies": [
            on("names", Value::Null), on("model", Value::Null), on("model", json!("dev")), on("model", json!("build")),
        ] }),
        json!({ "name": "model", "manifest_path": "model/Cargo.toml", "dependencies": [] }),
        json!({ "name": "common", "manifest_path": "common/Cargo.toml", "dependencies": [] }),
    ];
    let table: &[(&str, &[&str])] = &[("names", &[]), ("xds", &["names"]), ("model", &[])];
    let line = line_of("xds");
    assert!(include_str!("../imports.rs").lines().nth(line - 1).is_some_and(|row| row.contains("\"xds\", &[")));
    let edge =
        format!("xds/Cargo.toml:1: xds imports model; if that is meant, {THIS_FILE}:{line} is the line to change");
    let unknown = format!("common/Cargo.toml:1: crate common is not in the table of {THIS_FILE}");
    assert_eq!(edges(&packages, table), [edge.clone(), edge, unknown]);
}

#[test]
fn a_crate_of_the_table_that_is_gone_is_named() {
    let names = json!({ "name": "names", "manifest_path": "names/Cargo.toml", "dependencies": [] });
    let gone = format!("{THIS_FILE}:{}: there is no crate graph", line_of("graph"));
    assert_eq!(edges(&[names], &[("names", &[]), ("graph", &[])]), [gone]);
}

#[test]
fn a_runtime_in_the_tree_of_a_pure_crate_is_named() {
    assert!(brought("names", "names v0.1.0 (/x)\nserde v1.0.0\ntokio-like v1.0.0\n").is_empty());
    let tree = "names v0.1.0 (/x)\ntokio v1.0.0\ntokio v1.0.0 (*)\n";
    assert_eq!(brought("names", tree), ["crates/names/Cargo.toml:1: names is pure and brings tokio"]);
}

#[test]
fn a_pure_crate_without_a_shared_lint_is_named() {
    let texts = |path: &str| match path {
        "crates/graph/clippy.toml" => Ok("a\n".to_owned()),
        "crates/translate/clippy.toml" => Ok("a\n  b\nmore\n".to_owned()),
        _ => Ok("a\n  b\n".to_owned()),
    };
    assert_eq!(lints(texts).unwrap(), ["crates/graph/clippy.toml:1: lacks `b`"]);
    assert!(lints(|_| anyhow::bail!("none")).is_err());
}
