//! Compiles Envoy's, xDS's and Google's .proto files (from the locked package `envoy-types`, which is never compiled
//! itself) and our own (`/proto`) into prost messages and one descriptor set, both in `OUT_DIR`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Include roots inside the package's `proto` folder.
const ROOTS: [&str; 7] = [
    "data-plane-api",
    "xds",
    "googleapis",
    "protoc-gen-validate",
    "cel-spec/proto",
    "opentelemetry-proto",
    "client_model",
];

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let own = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", own.display());
    println!("cargo::rerun-if-changed=build.rs");
    let foreign = package_folder("envoy-types")?.join("proto");
    let well_known = protoc_bin_vendored::include_path()?;

    let mut files = Vec::new();
    collect(&foreign.join("data-plane-api/envoy"), &mut files)?;
    collect(&foreign.join("xds"), &mut files)?;
    collect(&own, &mut files)?;
    files.sort();
    let mut includes: Vec<PathBuf> = ROOTS.iter().map(|root| foreign.join(root)).collect();
    includes.push(own);
    includes.push(well_known);

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut config = prost_build::Config::new();
    config
        .protoc_executable(protoc_bin_vendored::protoc_bin_path()?)
        .file_descriptor_set_path(out.join("descriptors.bin"))
        .include_file("messages.rs")
        .bytes([".envoy.service.discovery.v3"])
        .btree_map(["."])
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .disable_comments(["."]);
    config.compile_protos(&files, &includes)?;
    Ok(())
}

/// The folder of a locked package's source, wherever cargo keeps it.
fn package_folder(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let ask = |options: &[&str]| {
        cargo_metadata::MetadataCommand::new()
            .other_options(options.iter().map(ToString::to_string).collect::<Vec<_>>())
            .exec()
    };
    // Offline works once everything locked was downloaded; `cargo build` alone leaves out other platforms' packages.
    let metadata = ask(&["--offline", "--locked"]).or_else(|_| ask(&["--locked"]))?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == name);
    let manifest = &package.ok_or_else(|| format!("package {name} is not in Cargo.lock"))?.manifest_path;
    let folder = manifest.parent().ok_or("a manifest lies in a folder")?;
    Ok(folder.as_std_path().to_owned())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
