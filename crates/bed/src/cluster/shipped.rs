//! What stands for our own images and those of the samples, in a checkout of this repository.

use std::path::Path;

use super::images::{Image, Images, Program};

/// Where installations find our images unless they are told otherwise.
pub const HUB: &str = "localhost/meltemi";
/// The image of the control plane.
pub const CONTROL_PLANE: &str = "localhost/meltemi/meltemid";
/// The image of the proxy with its agent.
pub const PROXY: &str = "localhost/meltemi/proxyv2";

impl Images {
    /// With our images, made of what was built in a checkout, and with Python for the samples.
    #[must_use]
    pub fn with_shipped(self, checkout: &Path) -> Self {
        let built = |name: &str| checkout.join("target/debug").join(name);
        let control = Program::of(&["/meltemid"]).with_file(built("meltemid"), "/meltemid");
        let mut proxy = Program::of(&["/meltemi/pilot-agent"])
            .with_file(built("meltemi-agent"), "/meltemi/pilot-agent")
            .with_file(checkout.join(".cache/envoy/envoy"), "/meltemi/envoy");
        proxy.environment.push(("PATH".to_owned(), "/meltemi:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()));
        let python = Program::of(&["python3"]);
        let all = [(CONTROL_PLANE, control), (PROXY, proxy), ("python", python)];
        all.into_iter().fold(self, |images, (name, program)| images.with(name, Image::Program(program)))
    }
}
