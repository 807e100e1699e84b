//! The certificate authority: whether files would do as one, and what it signs. Bytes and the time come in as arguments; where files
//! and secrets lie, and who asks for a certificate, is others' business. Private keys stay in here.

mod authority;
mod check;
mod path;
mod read;
mod request;
mod signature;

pub use authority::{Authority, Issued, Lifetimes, prolonged, self_signed};
pub use check::{Fine, Plugged, Reason, Refusal, Workload, plugged, roots, workload};
pub use check::{certificates, ends, pair, uris_of};
pub use request::Error;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "openssl reads and writes files")]
mod tests;
