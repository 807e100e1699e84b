//! What stands for our own images, as `make images` leaves them unpacked in a checkout, and for Python, which the samples run.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::images::{Image, Images, Program};

/// Where installations find our images unless they are told otherwise.
const HUB: &str = "localhost/meltemi";
/// Our images: the control plane, and the proxy with its agent.
const OURS: [&str; 2] = ["meltemid", "proxyv2"];

/// The part of an image's description that says how it runs (OCI image-spec, config.md).
#[derive(Deserialize)]
struct Description {
    config: Run,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Run {
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<String>,
    user: String,
    working_dir: String,
}

impl Program {
    /// The program of an unpacked image: a folder with `root` and `config.json`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_image(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).with_context(|| format!("reading {}; make images makes it", path.display()))?;
        let run = serde_json::from_slice::<Description>(&text).with_context(|| path.display().to_string())?.config;
        let (user, group) = run.user.split_once(':').unwrap_or((&run.user, "0"));
        let number = |text: &str| if text.is_empty() { Ok(0) } else { text.parse() };
        let variable = |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self {
            root: Some(folder.join("root").canonicalize()?),
            files: Vec::new(),
            entrypoint: run.entrypoint,
            arguments: run.cmd,
            environment: run.env.into_iter().filter_map(variable).collect(),
            user: (number(user)?, number(group)?),
            directory: if run.working_dir.is_empty() { "/".into() } else { run.working_dir.into() },
        })
    }
}

impl Images {
    /// With our images under the names by which an installation asks for them, and with Python.
    ///
    /// # Errors
    /// When they were not made.
    pub fn with_shipped(self, checkout: &Path) -> anyhow::Result<Self> {
        let python = self.with("python", Image::Program(Program::of(&["python3"])));
        OURS.iter().try_fold(python, |images, name| {
            let program = Program::of_image(&checkout.join("target/images").join(name))?;
            Ok(images.with(&format!("{HUB}/{name}"), Image::Program(program)))
        })
    }
}
