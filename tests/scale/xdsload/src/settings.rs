//! What is said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

/// Clients that behave like Envoy, thousands in one process, told over HTTP what to do.
///
/// Prints one line of JSON that says where it is told: `{"control":"127.0.0.1:PORT"}`.
#[derive(Parser, Clone, Debug)]
#[command(name = "xdsload", max_term_width = 120)]
pub struct Settings {
    /// The server under test, as HOST:PORT.
    #[arg(long)]
    pub target: String,
    /// Changes only, or the state of the world.
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Client n is a sidecar in namespace ns-{n modulo this}.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub namespaces: u32,
    /// All clients are in this namespace instead.
    #[arg(long)]
    pub namespace: Option<String>,
    /// What a client says of itself: the part that a server needs, or 61 KB as Envoy with Istio's agent does.
    #[arg(long, value_enum, default_value_t)]
    pub metadata: Metadata,
    /// How many bytes the server may send before a client has read them, for a stream and for its connection. 1 MiB is what Istio's agent
    /// grants.
    #[arg(long, default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(65_535..=0x7fff_ffff))]
    pub window: u32,
    /// How the connection is secured.
    #[command(flatten)]
    pub security: Security,
    /// Where it is told what to do.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub control: String,
}

/// How connections are secured. In file names, `{namespace}` stands for the client's.
#[derive(Args, Clone, Debug, Default)]
pub struct Security {
    /// Roots that name the server, PEM; without them connections are plain text.
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// A chain that clients show, PEM.
    #[arg(long, requires_all = ["root", "key"])]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// A token that clients show.
    #[arg(long)]
    pub token: Option<PathBuf>,
    /// The name of the server that its certificate has, and that requests are for.
    #[arg(long, default_value = "istiod.istio-system.svc")]
    pub server_name: String,
}

/// Which variant of the protocol clients speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Mode {
    /// Changes only.
    #[default]
    Delta,
    /// Full answers.
    Sotw,
}

/// What clients say of themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Metadata {
    /// What a server needs to know.
    #[default]
    Short,
    /// All that Envoy and its agent say, with a list of 516 extensions.
    Full,
}
