//! `meshgen`: writes a mesh of a shape, or prints edits of it as a script.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use bench::cluster::Cluster;
use bench::edits::Kind;
use bench::folder::Folder;
use bench::mesh::Mesh;
use bench::shape::Size;
use clap::{Parser, Subcommand};

/// Makes meshes of a seed; the same seed gives the same bytes.
#[derive(Parser)]
#[command(name = "meshgen", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    mesh: Of,
    /// Directory to write to.
    #[arg(long, value_name = "DIR", required_unless_present = "kubeconfig")]
    out: Option<PathBuf>,
    /// API server to write to, as a kubeconfig names it; the definitions of Istio's kinds must be there.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints edits: what is put or removed, and which proxies must be touched. A line each, as JSON.
    Edits {
        #[command(flatten)]
        mesh: Of,
        /// Of which kinds; all without it.
        #[arg(long, value_name = "KINDS", value_delimiter = ',')]
        kinds: Vec<Kind>,
        /// How many of each kind.
        #[arg(long, default_value_t = 50, value_name = "NUMBER")]
        rounds: u32,
    },
}

/// Which mesh.
#[derive(clap::Args)]
struct Of {
    /// How large it is.
    #[arg(long, value_enum, default_value = "S")]
    shape: Size,
    /// What it is made of.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Edits { mesh, kinds, rounds }) => edits(&mesh, &kinds, rounds),
        None => {
            let mesh = Mesh::new(arguments.mesh.shape.shape(), arguments.mesh.seed);
            let objects = match arguments.kubeconfig {
                Some(file) => Cluster::connect(&file)?.fill(&mesh)?,
                None => Folder::new(&arguments.out.context("--out says where to")?)?.fill(&mesh)?,
            };
            eprintln!("{objects} objects are written");
            Ok(())
        }
    }
}

fn edits(of: &Of, kinds: &[Kind], rounds: u32) -> anyhow::Result<()> {
    let mesh = Mesh::new(of.shape.shape(), of.seed);
    let kinds = if kinds.is_empty() { &Kind::ALL } else { kinds };
    let mut out = std::io::stdout().lock();
    for kind in kinds {
        for edit in (0..rounds).filter_map(|round| mesh.edit(*kind, round)) {
            writeln!(out, "{}", edit.line(&mesh.shape))?;
        }
    }
    Ok(())
}
