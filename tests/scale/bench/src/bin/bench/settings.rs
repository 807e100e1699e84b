//! What is said on the command line.

use std::path::PathBuf;

use bench::shape::Size;
use clap::{Parser, ValueEnum};

/// Where a control plane has its configuration from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// A directory of YAML.
    Dir,
    /// A Kubernetes API server, which is started for it.
    Api,
}

/// How proxies are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// Plain text.
    Off,
    /// TLS; each proxy shows a certificate of its namespace.
    Mtls,
}

/// How fast, small and fair a control plane is: one table, each measure beside what this machine needs at least.
#[derive(Parser, Clone, Debug)]
#[command(name = "bench", max_term_width = 120)]
pub(crate) struct Settings {
    /// How large the mesh is.
    #[arg(long, value_enum, default_value = "S")]
    pub(crate) shape: Size,
    /// What the mesh is made of.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Where the configuration is.
    #[arg(long, value_enum, default_value = "dir")]
    pub(crate) source: Source,
    /// How proxies connect.
    #[arg(long, value_enum, default_value = "off")]
    pub(crate) tls: Tls,
    /// Command line of a server under test, run by sh; `{dir}` and `{kubeconfig}` stand for where its configuration is. Meltemi without it.
    /// With a second one both are measured in turns, A, B, A, B.
    #[arg(long, value_name = "COMMAND", requires = "address")]
    pub(crate) server: Vec<String>,
    /// Where that server speaks xDS, HOST:PORT; one for each.
    #[arg(long, value_name = "ADDRESS", requires = "server")]
    pub(crate) address: Vec<String>,
    /// Edits of each kind; without it as many as suit the shape.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    edits: Option<u32>,
    /// Only what can be counted, with limits that hold on any machine.
    #[arg(long, conflicts_with_all = ["server", "scaling", "soak"])]
    pub(crate) counts: bool,
    /// Also what services, proxies and edits cost when there are ten times as many.
    #[arg(long)]
    pub(crate) scaling: bool,
    /// Also how memory grows in so many minutes of edits.
    #[arg(long, value_name = "MINUTES")]
    pub(crate) soak: Option<u32>,
    /// Folder of the JSON.
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Misses that are known, each with its reason.
    #[arg(long, default_value = "tests/scale/known.toml", value_name = "FILE")]
    pub(crate) known: PathBuf,
    /// What counts may be.
    #[arg(long, default_value = "tests/scale/counts.toml", value_name = "FILE")]
    pub(crate) limits: PathBuf,
}

impl Settings {
    /// Edits of each kind.
    pub(crate) fn edits(&self) -> u32 {
        self.edits.unwrap_or(self.shape.edits())
    }
}
