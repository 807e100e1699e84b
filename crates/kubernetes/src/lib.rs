//! The API server: what is watched there, and the few objects that the control plane writes. The only crate that links a Kubernetes client.
