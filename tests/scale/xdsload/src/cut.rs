//! Cuts a stream of gRPC messages into the fields of the protobuf message in each, as the bytes come: a response of megabytes is never
//! in memory as a whole. Knows no message.

use bytes::{Buf, Bytes, BytesMut};

/// A message longer than this is taken for nonsense.
const MESSAGE_LIMIT: usize = 1 << 28;
/// A key or a length of a field has at most so many bytes.
const VARINT: usize = 10;

/// What was cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A field: its number and its bytes (empty where it is a number).
    Field(u32, Bytes),
    /// A message has ended; it had so many bytes.
    End(usize),
}

/// Bytes that are no gRPC messages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream of gRPC messages: {0}")]
pub(crate) struct Malformed(&'static str);

/// What the next bytes are.
enum Next {
    /// Something that so many bytes are needed for, as far as is known.
    Needs(usize),
    /// A whole field: its number, where its bytes begin and where they end.
    Field(u32, usize, usize),
}

/// The state between chunks.
#[derive(Default)]
pub(crate) struct Cutter {
    chunk: Bytes,
    /// The beginning of something of which the end has not come.
    begun: BytesMut,
    /// How much of the current message was not cut yet.
    left: Option<usize>,
    size: usize,
}

impl Cutter {
    /// Takes the next bytes, when [`Self::next`] gives nothing more.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "the last chunk was cut");
        self.chunk = chunk;
    }

    /// The next piece; nothing when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no messages.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        let left = match self.left {
            Some(0) => {
                self.left = None;
                return Ok(Some(Piece::End(self.size)));
            }
            Some(left) => left,
            None => {
                let Some(head) = self.take(5) else { return Ok(None) };
                self.size = length(&head)?;
                self.left = Some(self.size);
                return self.next();
            }
        };
        loop {
            let bytes = if self.begun.is_empty() { &self.chunk[..] } else { &self.begun[..] };
            match next(&bytes[..bytes.len().min(left)], left)? {
                Next::Needs(count) => {
                    if !self.gather(count) {
                        return Ok(None);
                    }
                }
                Next::Field(number, from, to) => {
                    let whole = self.take(to).ok_or(Malformed("a field that was there is not"))?;
                    self.left = Some(left - to);
                    return Ok(Some(Piece::Field(number, whole.slice(from..))));
                }
            }
        }
    }

    /// The next bytes, if so many are there.
    fn take(&mut self, count: usize) -> Option<Bytes> {
        if self.begun.is_empty() && self.chunk.len() >= count {
            return Some(self.chunk.split_to(count));
        }
        self.gather(count).then(|| {
            let taken = self.begun.split_to(count).freeze();
            if self.begun.is_empty() {
                self.begun = BytesMut::new();
            }
            taken
        })
    }

    /// Moves bytes out of the chunk until so many are in one place. False when there are not.
    fn gather(&mut self, count: usize) -> bool {
        let missing = count.saturating_sub(self.begun.len());
        let moved = missing.min(self.chunk.len());
        // As much as is known to come, and no more.
        self.begun.reserve(missing);
        self.begun.extend_from_slice(&self.chunk[..moved]);
        self.chunk.advance(moved);
        if self.chunk.is_empty() {
            self.chunk = Bytes::new();
        }
        moved == missing
    }
}

/// The length in the head of a message.
fn length(head: &[u8]) -> Result<usize, Malformed> {
    if head[0] != 0 {
        return Err(Malformed("a compressed message"));
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MESSAGE_LIMIT { Err(Malformed("a message without end")) } else { Ok(length) }
}

/// What these bytes begin with, where the message goes on for `left`.
fn next(bytes: &[u8], left: usize) -> Result<Next, Malformed> {
    let Some((key, mut at)) = varint(bytes, 0)? else { return more(bytes, left) };
    let number = u32::try_from(key >> 3).map_err(|_| Malformed("an odd field"))?;
    let value = match key & 7 {
        0 => match varint(bytes, at)? {
            None => return more(bytes, left),
            Some((_, end)) => return Ok(Next::Field(number, end, end)),
        },
        1 => 8,
        5 => 4,
        2 => match varint(bytes, at)? {
            None => return more(bytes, left),
            Some((length, from)) => {
                at = from;
                usize::try_from(length).map_err(|_| Malformed("an odd length"))?
            }
        },
        _ => return Err(Malformed("an odd field")),
    };
    let end = at.checked_add(value).filter(|end| *end <= left).ok_or(Malformed("a field beyond its message"))?;
    let from = if key & 7 == 2 { at } else { end };
    Ok(if end <= bytes.len() { Next::Field(number, from, end) } else { Next::Needs(end) })
}

/// One byte more, if the message has it.
fn more(bytes: &[u8], left: usize) -> Result<Next, Malformed> {
    if bytes.len() < left { Ok(Next::Needs(bytes.len() + 1)) } else { Err(Malformed("half a field")) }
}

/// A number, and where it ends; nothing when its end has not come.
fn varint(bytes: &[u8], from: usize) -> Result<Option<(u64, usize)>, Malformed> {
    let mut value = 0;
    for at in 0..VARINT {
        let Some(byte) = bytes.get(from + at) else { return Ok(None) };
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, from + at + 1)));
        }
    }
    Err(Malformed("a number without end"))
}

#[cfg(test)]
mod tests;
