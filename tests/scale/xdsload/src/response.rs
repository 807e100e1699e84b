//! A response, put together from its fields as they come.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

use crate::envoy::Named;
use crate::kinds::Kind;
use crate::library::Library;
use crate::names::Name;
use crate::resource::{Frame, Resource};
use crate::settings::Mode;

/// A response, of which the last field may not have come yet.
#[derive(Debug, Default)]
pub(crate) struct Response {
    /// Its type; nothing where it is none that clients ask for.
    pub(crate) kind: Option<Kind>,
    /// What its answer says.
    pub(crate) nonce: Box<str>,
    /// The version of the whole; only state-of-the-world answers repeat it.
    pub(crate) version: Box<str>,
    /// What it has.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// What is gone.
    pub(crate) removed: Vec<Name>,
    /// What tells what it does from what others do.
    pub(crate) digest: u64,
}

/// Bytes that are no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A part is no message.
    #[error("a response that does not parse: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A text is none.
    #[error("a response that does not parse: {0}")]
    Text(#[from] std::str::Utf8Error),
}

impl Response {
    /// Takes a field in.
    ///
    /// # Errors
    /// When it does not parse.
    pub(crate) fn field(&mut self, number: u32, bytes: &Bytes, reader: &Reader<'_>) -> Result<(), Error> {
        match (number, reader.mode) {
            (1, Mode::Sotw) => self.version = std::str::from_utf8(bytes)?.into(),
            (2, mode) => {
                let frame = if mode == Mode::Delta { Frame::Own } else { Frame::Bare };
                let resource = reader.library.resource(bytes, frame, reader.record)?;
                self.mix(resource.hash);
                self.resources.push(resource);
            }
            (4, _) => self.kind = Kind::of(std::str::from_utf8(bytes)?),
            (5, _) => self.nonce = std::str::from_utf8(bytes)?.into(),
            (6, Mode::Delta) => self.remove(std::str::from_utf8(bytes)?, reader.library),
            (8, Mode::Delta) => self.remove(&Named::decode(bytes.clone())?.name, reader.library),
            _ => {}
        }
        Ok(())
    }

    fn remove(&mut self, name: &str, library: &Library) {
        let name = library.names.of(name);
        self.mix(xxh3_64(&name.number().to_le_bytes()));
        self.removed.push(name);
    }

    fn mix(&mut self, hash: u64) {
        self.digest = self.digest.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash;
    }

    /// It says nothing but that it is there.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }
}

/// How responses are read.
pub(crate) struct Reader<'a> {
    /// Where resources are looked up.
    pub(crate) library: &'a Library,
    /// Which protocol.
    pub(crate) mode: Mode,
    /// Whether bodies are kept.
    pub(crate) record: bool,
}
