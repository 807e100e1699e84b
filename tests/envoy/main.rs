//! Real Envoys: what is sent is taken, requests reach the right place, and nothing fails while it changes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::app::Answer;
use bed::envoy::{Envoy, Spec};
use bed::net::Place;
use bed::process::eventually;
use tests::edge::{app, free_port, router};
use tests::mesh::{gateway, service};
use tests::need;
use tests::plane::{Plane, folder};

mod addresses;
mod bootstrap;
mod dns;
mod dump;
mod golden;
mod ground;
mod grpc;
mod ingress;
mod latency;
mod mutual;
mod pod;
mod proofs;
mod redirect;
mod rotation;
mod routing;
mod zero_failed;

/// The repository's Envoy, and what is missing without it.
fn envoy() -> Result<PathBuf, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cache/envoy/envoy");
    bed::envoy::binary(Some(&root)).map_err(|error| error.to_string())
}

/// The agent; `make` has built it.
fn agent() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug/meltemi-agent")
}

/// What is missing when a tool is not installed.
fn without(tool: &str) -> Option<String> {
    let found = std::process::Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    (!found.is_ok_and(|found| found.status.success())).then(|| format!("{tool} is missing"))
}

/// A gateway with its control plane.
struct Bed {
    plane: Plane,
    envoy: Envoy,
    gateway: SocketAddr,
}

impl Bed {
    fn start(
        binary: &std::path::Path,
        files: &[(&str, &str)],
        port: u16,
        delta: bool,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let plane = Plane::start(files, flags)?;
        let spec = Spec { delta, ..router("ingress", plane.xds()) };
        let mut envoy = Envoy::start(binary, &spec, &Place::here(), &folder())?;
        envoy.wait_live(Duration::from_secs(20))?;
        Ok(Self { plane, envoy, gateway: ([127, 0, 0, 1], port).into() })
    }

    fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<bed::http::Answer> {
        bed::http::get(self.gateway, host, path, headers)
    }

    /// Who answers.
    fn version(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<String> {
        let answer = self.get(host, path, headers)?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        let read: Answer = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        Ok(read.version)
    }
}
