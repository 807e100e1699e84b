//! The program against a control plane in this process.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails fails the test")]

mod behaviour;
mod complete;
mod memory;
mod program;
mod secured;
mod storm;
mod told;

use tests::plane::Plane;

/// Services of the mesh.
const SERVICES: usize = 20;
/// The file of one of them.
const FILE: usize = 7;

fn files() -> Vec<(String, String)> {
    tests::mesh::scale(SERVICES, 2, 4)
}

/// A control plane with a small mesh.
fn plane() -> Plane {
    let files = files();
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Plane::start(&listed, &[]).unwrap()
}

/// Edits a route.
fn edit(plane: &Plane, timeout: &str) {
    let (name, text) = &files()[FILE];
    plane.write(name, &text.replace("timeout: 5s", &format!("timeout: {timeout}"))).unwrap();
}
