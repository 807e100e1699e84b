//! What the tests share: a control plane in this process on free ports, a client that behaves like Envoy, meshes made of text.

pub mod between;
pub mod client;
pub mod edge;
pub mod follower;
pub mod front;
pub mod golden;
pub mod mesh;
pub mod plane;
pub mod secured;
pub mod wire;

/// Whether a test that needs something can run: `Err` is what is missing. Where everything is required (CI) that is a failure.
///
/// # Panics
/// When everything is required and something is missing.
pub fn need(test: &str, missing: Option<String>) -> bool {
    let Some(why) = missing else { return true };
    let required = std::env::vars().any(|(name, value)| name == "MELTEMI_REQUIRE_ALL" && value == "1");
    assert!(!required, "{test}: {why}");
    eprintln!("SKIP {test}: {why}");
    false
}
