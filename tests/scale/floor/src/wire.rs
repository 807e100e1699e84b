//! The bytes: frames of gRPC, and of xDS the two fields that are read and the few that are written. Knows no sockets.
//!
//! Field numbers are those of `envoy/service/discovery/v3/discovery.proto`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub(crate) const CLUSTERS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub(crate) const LISTENERS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// A request that is longer has gone wrong.
const LONGEST: usize = 4 << 20;

/// Which of the two protocols a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Delta,
    Sotw,
}

/// What is read of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: String,
    pub(crate) nonce: String,
}

/// The next whole message of a stream; an error when there can be none.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
    let Some(head) = buffer.get(..5) else { return Ok(None) };
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if head[0] != 0 || length > LONGEST {
        return Err("a message that is compressed, or too long");
    }
    if buffer.len() < 5 + length {
        return Ok(None);
    }
    buffer.advance(5);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Type and nonce of a request.
pub(crate) fn read(message: &[u8], variant: Variant) -> Option<Request> {
    let (kind, nonce) = match variant {
        Variant::Delta => (2, 6),
        Variant::Sotw => (4, 5),
    };
    // In a delta request 6 is the nonce of what is acked; in both, what is not text is stepped over.
    let (mut rest, mut request) = (message, Request::default());
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let field = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (field, after) = rest.split_at_checked(length)?;
                rest = after;
                field
            }
            _ => return None,
        };
        let text = || String::from_utf8(field.to_vec()).ok();
        if tag >> 3 == kind {
            request.kind = text()?;
        } else if tag >> 3 == nonce {
            request.nonce = text()?;
        }
    }
    Some(request)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A framed response with one cluster or listener, which makes it so many bytes long, or a little longer when one does not fit.
pub(crate) fn response(variant: Variant, kind: &str, nonce: &str, bytes: usize) -> Bytes {
    let with = |padding| build(variant, kind, nonce, padding);
    let room = bytes.saturating_sub(with(0).len());
    // Lengths are written in front, and they grow too.
    let over = with(room).len().saturating_sub(bytes);
    with(room.saturating_sub(over))
}

fn build(variant: Variant, kind: &str, nonce: &str, padding: usize) -> Bytes {
    let mut message = BytesMut::new();
    text(&mut message, 1, b"1");
    let (mut body, mut any) = (BytesMut::new(), BytesMut::new());
    text(&mut body, 1, b"floor");
    // In both kinds its name in statistics: any text will do.
    text(&mut body, 28, &vec![b'x'; padding]);
    text(&mut any, 1, kind.as_bytes());
    text(&mut any, 2, &body);
    match variant {
        Variant::Delta => {
            let mut resource = BytesMut::new();
            text(&mut resource, 1, b"1");
            text(&mut resource, 2, &any);
            text(&mut resource, 3, b"floor");
            text(&mut message, 2, &resource);
        }
        Variant::Sotw => text(&mut message, 2, &any),
    }
    text(&mut message, 4, kind.as_bytes());
    text(&mut message, 5, nonce.as_bytes());
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a response of less than 4 GB"));
    framed.put(message);
    framed.freeze()
}

/// A field that has a length.
fn text(out: &mut BytesMut, field: u64, value: &[u8]) {
    number(out, field << 3 | 2);
    number(out, value.len() as u64);
    out.put_slice(value);
}

fn number(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests;
