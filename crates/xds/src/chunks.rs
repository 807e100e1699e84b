//! Runs of resources as a few larger pieces of memory, shared by all streams that are sent the same run: a thousand tiny frames cost
//! seven times the CPU of some large ones.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use proto::Encoded;

use crate::decode::Variant;

/// Pieces are cut when they reach this.
const PIECE: usize = 128 * 1024;
/// Memory that the cache may keep alive by itself.
const BUDGET: usize = 32 * 1024 * 1024;

/// A small cache of pieces by the names and versions in them.
#[derive(Default)]
pub(crate) struct Chunks(Mutex<VecDeque<(u128, Bytes)>>);

impl Chunks {
    /// The pieces of a run. Pieces are cut where the hash of a name says so (once they are large enough), so that runs that differ in
    /// one resource share most of them.
    pub(crate) fn of(&self, resources: &[Encoded], variant: Variant) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut size = 0;
        for (at, encoded) in resources.iter().enumerate() {
            size += encoded.len();
            let boundary = xxhash_rust::xxh3::xxh3_64(encoded.name().as_bytes()).is_multiple_of(16);
            let cut = size >= PIECE * 2 || size >= PIECE / 2 && boundary;
            if cut || at + 1 == resources.len() {
                pieces.push(self.piece(&resources[start..=at], variant));
                start = at + 1;
                size = 0;
            }
        }
        pieces
    }

    fn piece(&self, run: &[Encoded], variant: Variant) -> Bytes {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(&[u8::from(variant == Variant::Delta)]);
        for encoded in run {
            hash.update(encoded.name().as_bytes());
            hash.update(&encoded.version().0.to_le_bytes());
        }
        let key = hash.digest128();
        let mut cache = self.0.lock().expect("no holder of this lock panics");
        if let Some((_, bytes)) = cache.iter().find(|(known, _)| *known == key) {
            return bytes.clone();
        }
        let mut made = BytesMut::with_capacity(run.iter().map(Encoded::len).sum());
        for encoded in run {
            let frame = match variant {
                Variant::Delta => encoded.delta_frame(),
                Variant::Sotw => encoded.sotw_frame(),
            };
            made.extend_from_slice(&frame);
        }
        let made = made.freeze();
        cache.push_front((key, made.clone()));
        let mut kept = 0;
        cache.retain(|(_, bytes)| {
            kept += bytes.len();
            kept <= BUDGET
        });
        made
    }
}
