//! The aggregated discovery service, delta and state of the world, over opaque encoded resources. Knows neither mesh nor Envoy's
//! messages: what a proxy may see is published as [`Publisher`] views by somebody else ([`Source`]).
//!
//! Way of a change: [`Publisher::commit`] swaps the [`Snapshot`] and wakes the streams of changed views → [`Session`] decides
//! what to send (no I/O) → `frame` makes bytes → `stream` hands them to the connection as the other side takes them.

mod chunks;
mod decode;
mod door;
mod frame;
pub mod grpc;
mod health;
mod inquiry;
mod node;
mod refusals;
mod runs;
mod server;
mod session;
mod shared;
mod stream;
mod subscriptions;
mod types;
mod views;

pub use decode::{Request, Variant, delta as decode_delta, sotw as decode_sotw};
pub use door::Door;
pub use frame::Response;
pub use inquiry::{Inquiry, Reply};
pub use node::Node;
pub use runs::Run;
pub use server::Server;
pub use session::{Nack, Ordering, Session, TypeStatus};
pub use shared::{Caller, Client, ConnectionStatus, Counted, Limits, Refusal, Source};
pub use types::ResourceType;
pub use views::{Assignment, Commit, ConnectionId, Publisher, Revision, Snapshot, ViewId};
