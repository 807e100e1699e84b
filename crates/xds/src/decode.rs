//! A decoder of discovery requests that keeps nothing: it walks the bytes and hands out slices of them. A reconnecting proxy names
//! thousands of resources, and a thousand such proxies at once must not cost their copies.

use prost::encoding::{WireType, decode_key, decode_varint};

/// Which variant of the protocol a stream speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// Changes only.
    Delta,
    /// Full answers.
    Sotw,
}

/// A request, borrowed from its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// The node message, undecoded; only the first of a stream is looked at.
    pub node: Option<&'a [u8]>,
    /// Which type it is about.
    pub type_url: &'a str,
    /// Names added (delta), or all names (state of the world).
    pub subscribe: Vec<&'a str>,
    /// Names taken away (delta).
    pub unsubscribe: Vec<&'a str>,
    /// What the proxy has from before (delta).
    pub initial: Vec<(&'a str, &'a [u8])>,
    /// Which response is answered; empty when none is.
    pub nonce: &'a str,
    /// Why that response was refused.
    pub error: Option<&'a str>,
}

/// Bytes that are no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a discovery request")]
pub struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

impl From<std::str::Utf8Error> for Malformed {
    fn from(_: std::str::Utf8Error) -> Self {
        Self
    }
}

/// One field: its number and its bytes (empty for numbers).
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), Malformed> {
    let (tag, wire) = decode_key(rest)?;
    let skip = match wire {
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest)?).map_err(|_| Malformed)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
            *rest = after;
            return Ok((tag, bytes));
        }
        WireType::Varint => {
            decode_varint(rest)?;
            0
        }
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::StartGroup | WireType::EndGroup => return Err(Malformed),
    };
    *rest = rest.get(skip..).ok_or(Malformed)?;
    Ok((tag, &[]))
}

/// Field 2 of a `google.rpc.Status`.
fn status_message(mut bytes: &[u8]) -> Result<&str, Malformed> {
    let mut message = "";
    while !bytes.is_empty() {
        if let (2, text) = field(&mut bytes)? {
            message = std::str::from_utf8(text)?;
        }
    }
    Ok(message)
}

/// An entry of a map of strings.
fn entry(mut bytes: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let (mut key, mut value) = ("", &[][..]);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, text) => key = std::str::from_utf8(text)?,
            (2, text) => value = text,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Reads a `DeltaDiscoveryRequest`.
///
/// # Errors
/// When the bytes are none.
pub fn delta(mut bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    let mut request = Request::default();
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, node) => request.node = Some(node),
            (2, text) => request.type_url = std::str::from_utf8(text)?,
            (3, text) => request.subscribe.push(std::str::from_utf8(text)?),
            (4, text) => request.unsubscribe.push(std::str::from_utf8(text)?),
            (5, pair) => request.initial.push(entry(pair)?),
            (6, text) => request.nonce = std::str::from_utf8(text)?,
            (7, status) => request.error = Some(status_message(status)?),
            _ => {}
        }
    }
    Ok(request)
}

/// Reads a `DiscoveryRequest`.
///
/// # Errors
/// When the bytes are none.
pub fn sotw(mut bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    let mut request = Request::default();
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (2, node) => request.node = Some(node),
            (3, text) => request.subscribe.push(std::str::from_utf8(text)?),
            (4, text) => request.type_url = std::str::from_utf8(text)?,
            (5, text) => request.nonce = std::str::from_utf8(text)?,
            (6, status) => request.error = Some(status_message(status)?),
            _ => {}
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests;
