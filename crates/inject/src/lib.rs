//! From a pod and settings to a decision, and to the pod with a proxy beside its containers. The webhook and `meltemi inject` call the
//! same code.

pub mod template;
