//! What is wrong across objects, with the codes of Istio's analyzers (`istio: pkg/config/analysis/msg/messages.yaml`). Each object may be
//! right by itself; none of this refuses it, since what it refers to may come later.

mod known;
mod references;

pub use references::{all, references};
