//! The certificate authority: whether files would do as one, or as a workload's identity.
