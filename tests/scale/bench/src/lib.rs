//! Meshes of the shapes that the bench runs on, made of a seed, edits of them as a script, and many clients. Knows no control plane.
//!
//! `shape.rs` says how many of what; `mesh.rs` and `objects.rs` make the objects, `edits.rs` the edits; `folder.rs` writes both to a
//! directory, `cluster.rs` to an API server. `limits.rs` reads what counts may be,
//! `load.rs` tells the clients of `xdsload` what to do, and `programs.rs` says where programs are.

pub mod cluster;
mod draw;
pub mod edits;
pub mod folder;
pub mod limits;
pub mod load;
pub mod mesh;
mod objects;
pub mod programs;
pub mod shape;
