//! Chores of the repository: `cargo xtask tidy` holds its shape, `cargo xtask figures` its numbers, `cargo xtask crds` makes what the API
//! server is told of Istio's kinds, `cargo xtask manifests` what is installed beside them.

use std::process::ExitCode;

mod crds;
mod figures;
mod manifests;
mod tidy;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let options: Vec<String> = arguments.collect();
    let ended = match chore.as_str() {
        "crds" => crds::run(&options),
        "tidy" => tidy::run(),
        "figures" => figures::run(&options),
        "manifests" => manifests::run(&options),
        other => Err(anyhow::anyhow!("no chore {other:?}; there are crds, figures, manifests and tidy")),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
