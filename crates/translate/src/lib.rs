//! The model as resources, encoded: clusters, endpoint assignments, listeners, route tables and virtual hosts, each a shared row, and
//! the views that list them.
//!
//! A proxy's configuration ([`proxies`]) is a list of views; a view ([`views`]) is a list of resources; a resource ([`resources`]) is
//! bytes. A view holds its resources without reading them: an edit of one resource rebuilds that resource and nothing else, and the
//! rows that hold it say who has to hear of it.
//!
//! | level | tables |
//! |---|---|
//! | 4 | [`endpoints::Fragments`], [`nametable::Lines`] |
//! | 6 | [`hosts::Hosts`] |
//! | 7 | [`resources::Resources`] |
//! | 8 | [`views::Views`] |
//! | 9 | [`proxies::Configs`] |

pub mod clusters;
pub mod endpoints;
pub mod gateways;
pub mod hosts;
mod istio;
pub mod keys;
pub mod listeners;
mod mutual;
pub mod nametable;
pub mod proxies;
pub mod resources;
mod routes;
mod scoped;
mod secrets;
mod targets;
pub mod views;
mod way;
mod wire;

/// All tables: the model's and those of this crate.
#[must_use]
pub fn schema() -> graph::Schema {
    model::mesh::schema()
        .derived::<endpoints::Fragments>()
        .derived::<nametable::Lines>()
        .derived::<hosts::Hosts>()
        .derived::<resources::Resources>()
        .derived::<views::Views>()
        .derived::<proxies::Configs>()
}
