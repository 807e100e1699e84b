//! The program against a control plane in this process.

mod complete;
mod program;
