//! Runs of resources as a few larger pieces of memory, shared by all streams that are sent the same run: a thousand tiny frames cost
//! seven times the CPU of some large ones.
//!
//! A piece is kept when it was asked for twice: many runs are one proxy's alone, and would only fill the memory. What nobody asked for
//! lately goes, so that nothing of a storm of connections stays.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use proto::Encoded;

use crate::decode::Variant;

/// Pieces are cut when they reach this.
const PIECE: usize = 128 * 1024;
/// Memory that the cache may keep alive by itself.
const BUDGET: usize = 32 * 1024 * 1024;
/// So many pieces that were asked for once are remembered, by name.
const ONCE: usize = 4096;

/// A small cache of pieces by the names and versions in them.
#[derive(Default)]
pub(crate) struct Chunks(Mutex<Cache>);

#[derive(Default)]
struct Cache {
    /// The one that was asked for last comes first.
    pieces: VecDeque<Piece>,
    /// What was asked for once.
    once: BTreeSet<u128>,
}

struct Piece {
    key: u128,
    bytes: Bytes,
    /// Somebody asked for it since it was last looked.
    lately: bool,
}

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

    /// Lets go of what nobody asked for since the last time.
    pub(crate) fn forget(&self) {
        let mut cache = self.0.lock().expect("no holder of this lock panics");
        cache.once.clear();
        cache.pieces.retain_mut(|piece| std::mem::take(&mut piece.lately));
        cache.pieces.shrink_to_fit();
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
        if let Some(bytes) = cache.find(key) {
            return bytes;
        }
        // Who asks for the same at the same time waits, rather than to put it together once more.
        let mut made = BytesMut::with_capacity(run.iter().map(Encoded::len).sum());
        for encoded in run {
            let frame = match variant {
                Variant::Delta => encoded.delta_frame(),
                Variant::Sotw => encoded.sotw_frame(),
            };
            made.extend_from_slice(&frame);
        }
        let made = made.freeze();
        cache.note(key, &made);
        made
    }
}

impl Cache {
    fn find(&mut self, key: u128) -> Option<Bytes> {
        let at = self.pieces.iter().position(|piece| piece.key == key)?;
        let piece = self.pieces.remove(at)?;
        let bytes = piece.bytes.clone();
        self.pieces.push_front(Piece { lately: true, ..piece });
        Some(bytes)
    }

    fn note(&mut self, key: u128, bytes: &Bytes) {
        if !self.once.remove(&key) {
            if self.once.len() >= ONCE {
                self.once.clear();
            }
            self.once.insert(key);
            return;
        }
        self.pieces.push_front(Piece { key, bytes: bytes.clone(), lately: true });
        let mut kept = 0;
        self.pieces.retain(|piece| {
            kept += piece.bytes.len();
            kept <= BUDGET
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: &[&str]) -> Vec<Encoded> {
        names.iter().map(|name| Encoded::from_body(name, "type.example.com/t", name.repeat(400).as_bytes())).collect()
    }

    fn kept(chunks: &Chunks) -> usize {
        chunks.0.lock().unwrap().pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    #[test]
    fn what_is_asked_for_once_is_not_kept_and_what_is_asked_for_again_is_shared() {
        let chunks = Chunks::default();
        let (shared, own) = (run(&["a", "b"]), run(&["a", "own"]));
        chunks.of(&own, Variant::Delta);
        let first = chunks.of(&shared, Variant::Delta);
        assert_eq!(kept(&chunks), 0);
        let second = chunks.of(&shared, Variant::Delta);
        assert_eq!(first, second);
        assert_eq!(kept(&chunks), second[0].len());
        let third = chunks.of(&shared, Variant::Delta);
        assert_eq!(second[0].as_ptr(), third[0].as_ptr(), "the same memory");
        assert_ne!(chunks.of(&shared, Variant::Sotw), third, "another variant is other bytes");
    }

    #[test]
    fn what_nobody_asks_for_goes() {
        let chunks = Chunks::default();
        let (busy, idle) = (run(&["busy"]), run(&["idle"]));
        for run in [&busy, &busy, &idle, &idle] {
            chunks.of(run, Variant::Delta);
        }
        let all = kept(&chunks);
        chunks.forget();
        assert_eq!(kept(&chunks), all, "asked for since the beginning");
        chunks.of(&busy, Variant::Delta);
        chunks.forget();
        assert!(kept(&chunks) > 0 && kept(&chunks) < all);
        chunks.forget();
        assert_eq!(kept(&chunks), 0);
    }
}
