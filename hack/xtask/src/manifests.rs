//! `manifests/`: the objects of an installation with default settings, without the definitions, which are in `crds/`. With `--check`
//! nothing is written, and what differs is told.

use std::path::Path;

use anyhow::{Context, bail};
use install::Values;

const FILE: &str = "manifests/meltemi.yaml";
const HEADER: &str =
    "# Made by `cargo xtask manifests`: what `meltemi install` installs, after `kubectl apply -f crds/`.\n";

/// Writes the file, or says that it differs.
pub(crate) fn run(options: &[String]) -> anyhow::Result<bool> {
    let check = match options {
        [] => false,
        [option] if option == "--check" => true,
        other => bail!("manifests knows no option but --check, and not {other:?}"),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
    let mut objects = install::objects(&Values::profile("default")?);
    objects.retain(|object| object["kind"] != "CustomResourceDefinition");
    let wanted = format!("{HEADER}{}", install::yaml(&objects)?);
    if check {
        let same = std::fs::read_to_string(&path).is_ok_and(|found| found == wanted);
        if !same {
            eprintln!("{FILE}:1: differs from what is installed; run cargo xtask manifests");
        }
        return Ok(same);
    }
    std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    std::fs::write(&path, wanted).with_context(|| format!("writing {FILE}"))?;
    Ok(true)
}
