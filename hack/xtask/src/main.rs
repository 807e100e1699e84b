//! Chores of the repository: `cargo xtask tidy` holds its shape, `cargo xtask figures` its numbers.

use std::process::ExitCode;

mod figures;
mod tidy;

fn main() -> ExitCode {
    let chore = std::env::args().nth(1).unwrap_or_default();
    let ended = match chore.as_str() {
        "tidy" => tidy::run(),
        "figures" => figures::run(),
        other => Err(anyhow::anyhow!("no chore {other:?}; there are tidy and figures")),
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
