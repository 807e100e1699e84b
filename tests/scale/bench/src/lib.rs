//! Meshes of the shapes that the bench runs on, made of a seed, and edits of them as a script. Knows no control plane.
//!
//! `shape.rs` says how many of what; `mesh.rs` and `objects.rs` make the objects, `edits.rs` the edits; `folder.rs` writes both to a
//! directory, `cluster.rs` to an API server. `limits.rs` reads what counts may be.

pub mod cluster;
mod draw;
pub mod edits;
pub mod folder;
pub mod limits;
pub mod mesh;
mod objects;
pub mod shape;
