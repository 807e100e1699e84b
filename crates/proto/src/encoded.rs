//! A resource encoded once, in the frame both protocol variants share.
//!
//! The frame is field 2 of `DeltaDiscoveryResponse` (a `Resource` with name and version first and the `Any` last). Field 2 of
//! `DiscoveryResponse` is that `Any` under the same tag, so the `SotW` frame is a suffix of the delta frame and both are
//! slices of the same bytes.

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// Field 2 of both discovery responses, and of `Resource`.
const RESOURCES: u32 = 2;

/// Content hash of a resource: equal bytes have equal versions, on any replica and after any restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u128);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Version {
    /// Reads the form that [`Display`](fmt::Display) writes; `None` for what some other server wrote.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if text.len() != 32 { None } else { u128::from_str_radix(text, 16).ok().map(Self) }
    }
}

/// One immutable encoded resource. Clones share the bytes.
#[derive(Clone)]
pub struct Encoded {
    frame: Bytes,
    name: (u32, u32),
    any: u32,
    version: Version,
}

impl Encoded {
    /// Encodes `message` under its own type URL.
    #[must_use]
    pub fn new<M: prost::Message + prost::Name>(name: &str, message: &M) -> Self {
        Self::from_body(name, &M::type_url(), &message.encode_to_vec())
    }

    /// Frames a message that is encoded already, for instance spliced from fragments.
    ///
    /// # Panics
    /// When the resource is larger than 4 GiB.
    #[must_use]
    pub fn from_body(name: &str, type_url: &str, body: &[u8]) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(type_url.as_bytes());
        hash.update(body);
        let version = Version(hash.digest128());
        let version_text = version.to_string();
        let any_len = field_len(1, type_url.len()) + field_len(2, body.len());
        let resource_len = field_len(3, name.len()) + field_len(1, version_text.len()) + field_len(2, any_len);

        let mut frame = Vec::with_capacity(field_len(RESOURCES, resource_len));
        header(RESOURCES, resource_len, &mut frame);
        header(3, name.len(), &mut frame);
        let name_at = index(frame.len());
        frame.extend_from_slice(name.as_bytes());
        header(1, version_text.len(), &mut frame);
        frame.extend_from_slice(version_text.as_bytes());
        let any = index(frame.len());
        header(RESOURCES, any_len, &mut frame);
        header(1, type_url.len(), &mut frame);
        frame.extend_from_slice(type_url.as_bytes());
        header(2, body.len(), &mut frame);
        frame.extend_from_slice(body);
        Self { frame: Bytes::from(frame), name: (name_at, name_at + index(name.len())), any, version }
    }

    /// The resource's name.
    #[must_use]
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.frame[self.name.0 as usize..self.name.1 as usize]).expect("it was written from a str")
    }

    /// The hash of type and content.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes of one entry of `DeltaDiscoveryResponse.resources`, tag and length included.
    #[must_use]
    pub fn delta_frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// The bytes of one entry of `DiscoveryResponse.resources`, tag and length included: a suffix of the delta frame.
    #[must_use]
    pub fn sotw_frame(&self) -> Bytes {
        self.frame.slice(self.any as usize..)
    }

    /// The resource as `Any`, decoded from the frame: for dumps, not for the push path.
    ///
    /// # Panics
    /// Never: the frame was written by this type.
    #[must_use]
    pub fn any(&self) -> prost_types::Any {
        let mut rest = &self.frame[self.any as usize..];
        prost::encoding::decode_key(&mut rest).expect("own frame");
        prost::encoding::decode_varint(&mut rest).expect("own frame");
        prost::Message::decode(rest).expect("own frame")
    }

    /// Bytes of the delta frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Never true: a frame holds at least tags. Here because `len` is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.name() == other.name()
    }
}

impl Eq for Encoded {}

impl Hash for Encoded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.version.hash(state);
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} @ {}, {} bytes)", self.name(), self.version, self.frame.len())
    }
}

fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

fn header(tag: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a resource is smaller than 4 GiB")
}

#[cfg(test)]
mod tests;
