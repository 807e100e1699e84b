//! The control plane put together. Nothing here decides anything about a mesh: [`App`] binds, [`control`] owns the mesh on a thread of
//! its own, [`publish`] hands what changed to the xDS server, [`discovery`] takes proxies in, [`debug`] shows what is there, `istiod` understands its command line,
//! `secure` is the port for callers with credentials, `admission` the one for webhooks, `analysis` says in objects what is
//! wrong with them, `addresses` gives hosts addresses, `grants` knows who may have keys, [`source`] where the configuration comes from.

mod addresses;
mod admission;
mod analysis;
pub mod app;
mod authority;
mod callers;
pub mod control;
pub mod debug;
pub mod discovery;
mod grants;
mod impersonation;
mod ingresses;
mod istiod;
mod metrics;
pub mod publish;
mod secure;
pub mod settings;
pub mod source;
mod start;
mod tasks;
mod turns;
mod writes;

pub use app::App;
pub use istiod::arguments;
pub use settings::Settings;
