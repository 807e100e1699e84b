//! Requests as bytes, in parts: what many clients say alike is one buffer that all of them send.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::held::Held;
use crate::kinds::Kind;
use crate::names::{Name, Names};

/// A request; its parts make one message.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The parts.
    pub(crate) parts: Vec<Bytes>,
    /// It says that a response was taken.
    pub(crate) ack: bool,
}

/// `DeltaDiscoveryRequest` without its node.
#[derive(Clone, PartialEq, Message)]
struct Delta {
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    unsubscribe: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    initial: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    nonce: String,
    #[prost(message, optional, tag = "7")]
    error: Option<Status>,
}

/// `DiscoveryRequest` without its node.
#[derive(Clone, PartialEq, Message)]
struct Sotw {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, repeated, tag = "3")]
    names: Vec<String>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
    #[prost(message, optional, tag = "6")]
    error: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Status {
    /// What Envoy says when it refuses a response: `INTERNAL`.
    fn refusal(why: &str) -> Self {
        Self { code: 13, message: why.to_owned() }
    }
}

impl Request {
    fn of(message: &impl Message) -> Self {
        Self::parts(vec![message.encode_to_vec().into()])
    }

    /// Of parts.
    #[must_use]
    pub(crate) fn parts(parts: Vec<Bytes>) -> Self {
        Self { parts, ack: false }
    }

    /// Answers a delta response.
    #[must_use]
    pub(crate) fn answer(kind: Kind, nonce: &str, error: Option<&str>) -> Self {
        let message = Delta {
            type_url: kind.url().to_owned(),
            nonce: nonce.to_owned(),
            error: error.map(Status::refusal),
            ..Delta::default()
        };
        Self { ack: error.is_none(), ..Self::of(&message) }
    }

    /// A state-of-the-world request for names, which are encoded already; with a nonce the answer to a response.
    #[must_use]
    pub(crate) fn sotw(kind: Kind, (version, nonce): (&str, &str), names: Bytes, error: Option<&str>) -> Self {
        let message = Sotw {
            version: version.to_owned(),
            type_url: kind.url().to_owned(),
            nonce: nonce.to_owned(),
            error: error.map(Status::refusal),
            ..Sotw::default()
        };
        Self::parts(vec![message.encode_to_vec().into(), names])
    }

    /// As it goes to the wire: a frame of gRPC. Small parts are put together.
    #[must_use]
    pub(crate) fn framed(self) -> Vec<Bytes> {
        const SMALL: usize = 4096;
        let length: usize = self.parts.iter().map(Bytes::len).sum();
        let mut frame = BytesMut::with_capacity(5 + if length <= SMALL { length } else { 0 });
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).expect("a request is smaller than 4 GiB"));
        if length <= SMALL {
            self.parts.iter().for_each(|part| frame.extend_from_slice(part));
            return vec![frame.freeze()];
        }
        std::iter::once(frame.freeze()).chain(self.parts.into_iter().filter(|part| !part.is_empty())).collect()
    }
}

fn texts(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A delta request that adds names and takes others away.
#[must_use]
pub(crate) fn subscribe(kind: Kind, [add, take]: [&[Name]; 2], names: &Names) -> Bytes {
    let message = Delta {
        type_url: kind.url().to_owned(),
        subscribe: texts(&names.texts(add)),
        unsubscribe: texts(&names.texts(take)),
        ..Delta::default()
    };
    message.encode_to_vec().into()
}

/// A delta request that begins a type: for names (none where everything is asked for), offering what is there.
#[must_use]
pub(crate) fn offer(kind: Kind, add: &[Name], held: &Held, names: &Names) -> Bytes {
    let offered =
        held.resources.iter().map(|resource| (names.text(resource.name).to_string(), resource.version.to_string()));
    let message = Delta {
        type_url: kind.url().to_owned(),
        subscribe: texts(&names.texts(add)),
        initial: offered.collect(),
        ..Delta::default()
    };
    message.encode_to_vec().into()
}

/// The names of a state-of-the-world request.
#[must_use]
pub(crate) fn names(list: &[Name], names: &Names) -> Bytes {
    Sotw { names: texts(&names.texts(list)), ..Sotw::default() }.encode_to_vec().into()
}
