//! The mesh, derived from checked inputs: which services there are and who sees them, where their endpoints are, which rules hold
//! for whom, and what a proxy is. Says what is meant, not how Envoy is told: that is `translate`.
//!
//! Read in this order: [`inputs`] (ground state), [`settings`], [`services`], [`endpoints`], [`called`], [`policy`], [`rules`],
//! [`ingress`], [`scopes`], [`gateways`], [`proxies`]. Each file holds a few tables; each table's builder reads tables of lower levels only:
//!
//! | level | tables |
//! |---|---|
//! | 0 | objects, proxies, indexes |
//! | 1 | [`settings::Settings`] |
//! | 2 | [`services::Services`], [`services::AllClaims`], [`policy::Policies`], [`rules::Rules`], [`ingress::IngressRules`], [`ingress::IngressGateways`] |
//! | 3 | [`services::Visible`], [`endpoints::Endpoints`], [`ingress::IngressRefs`] |
//! | 4 | [`policy::Resolutions`] |
//! | 5 | [`scopes::Catalogs`] |
//! | 6 | [`proxies::Facets`] |

pub mod called;
mod door;
pub mod endpoints;
pub mod export;
pub mod gateways;
pub mod ingress;
pub mod inputs;
pub mod mesh;
pub mod peers;
pub mod policy;
pub mod proxies;
pub mod rules;
pub mod scopes;
pub mod services;
pub mod settings;

pub use inputs::{Age, Id, Objects, Row};
pub use mesh::Mesh;

/// Checked leaf values of what users write, passed on unchanged to `translate`.
pub use api::{core, mesh as mesh_config, networking, scalars};
