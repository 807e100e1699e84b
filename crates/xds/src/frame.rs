//! A response as bytes: a small head of its own, and the shared frames of its resources.

use bytes::{BufMut, Bytes, BytesMut};
use names::Name;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::Encoded;

use crate::chunks::Chunks;
use crate::decode::Variant;
use crate::runs::Run;
use crate::types::ResourceType;
use crate::views::Revision;

/// Answers below this are one copied frame.
const SMALL: usize = 16 * 1024;

/// A response to be sent.
#[derive(Clone, Debug)]
pub struct Response {
    /// The type.
    pub kind: ResourceType,
    /// The variant.
    pub variant: Variant,
    /// What it was made from.
    pub revision: Revision,
    /// To be repeated by the answer.
    pub nonce: u64,
    /// What is new.
    pub resources: Run,
    /// What is gone; delta only.
    pub removed: Vec<Name>,
}

fn text(tag: u32, text: &str, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

impl Response {
    /// The gRPC message in pieces: the head is this stream's own, the resources are shared by all streams with the same ones.
    pub(crate) fn frames(&self, chunks: &Chunks) -> Vec<Bytes> {
        let mut head = Vec::with_capacity(128 + self.removed.len() * 64);
        let (version, url, nonce) = match self.variant {
            Variant::Delta => (1, 4, 5),
            Variant::Sotw => (1, 4, 5),
        };
        text(version, &self.revision.to_string(), &mut head);
        text(url, self.kind.url(), &mut head);
        text(nonce, &self.nonce.to_string(), &mut head);
        self.removed.iter().for_each(|name| text(6, name, &mut head));

        let frame = |encoded: &Encoded| match self.variant {
            Variant::Delta => encoded.delta_frame(),
            Variant::Sotw => encoded.sotw_frame(),
        };
        let size: usize = self.resources.iter().map(|encoded| frame(encoded).len()).sum();
        let mut first = BytesMut::with_capacity(5 + head.len() + if size < SMALL { size } else { 0 });
        first.put_u8(0);
        first.put_u32(u32::try_from(head.len() + size).unwrap_or(u32::MAX));
        first.put_slice(&head);
        if size < SMALL {
            self.resources.iter().for_each(|encoded| first.put_slice(&frame(encoded)));
            return vec![first.freeze()];
        }
        let mut frames = vec![first.freeze()];
        frames.extend(chunks.of(&self.resources, self.variant));
        frames
    }

    /// Bytes of all resources.
    #[must_use]
    pub fn size(&self) -> usize {
        self.resources.iter().map(Encoded::len).sum()
    }
}
