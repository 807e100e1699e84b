//! The control plane put together. Nothing here decides anything about a mesh: [`App`] binds, [`control`] owns the mesh on a thread of
//! its own, [`publish`] hands what changed to the xDS server, [`discovery`] takes proxies in, [`debug`] shows what is there,
//! `secure` is the port for callers with credentials.

pub mod app;
mod authority;
mod callers;
pub mod control;
pub mod debug;
pub mod discovery;
mod impersonation;
mod metrics;
pub mod publish;
mod secure;
pub mod settings;
mod tasks;

pub use app::App;
pub use settings::Settings;
