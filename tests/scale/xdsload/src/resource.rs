//! A resource as a client keeps it: hashes, and the names that it leads to.

use bytes::Bytes;
use prost::Message;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::envoy;
use crate::kinds::Kind;
use crate::names::{Name, Names};

/// A resource, shared by all clients that have it.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its name.
    pub(crate) name: Name,
    /// Its version, to be offered on a reconnect; empty where it has none of its own.
    pub(crate) version: Box<str>,
    /// Hash of name, version and body.
    pub(crate) hash: u64,
    /// Hash of its body alone.
    pub(crate) body: u64,
    /// Its body, for clients that record.
    pub(crate) recorded: Option<Bytes>,
    /// What is to be asked for because of it.
    pub(crate) leads: Vec<(Kind, Name)>,
    /// Its hosts come apart.
    pub(crate) vhds: bool,
}

/// Where a resource stood.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Frame {
    /// In a delta response, with a name and a version of its own.
    Own,
    /// Bare, in a response of the state of the world.
    Bare,
}

impl Resource {
    /// The hash of a resource's bytes as they came; of clients that record another one, so that both find their own.
    #[must_use]
    pub(crate) fn hash_of(bytes: &[u8], record: bool) -> u64 {
        if record { xxh3_64_with_seed(bytes, 1) } else { xxh3_64(bytes) }
    }

    /// Reads a resource of which [`Self::hash_of`] is known.
    ///
    /// # Errors
    /// When the bytes are none.
    pub(crate) fn read(
        bytes: &Bytes,
        frame: Frame,
        hash: u64,
        record: bool,
        names: &Names,
    ) -> Result<Self, prost::DecodeError> {
        let (name, version, any) = match frame {
            Frame::Own => {
                let own = envoy::Resource::decode(bytes.clone())?;
                (own.name, own.version, own.resource.unwrap_or_default())
            }
            Frame::Bare => {
                let any = envoy::Any::decode(bytes.clone())?;
                (envoy::Named::decode(any.value.clone())?.name, String::new(), any)
            }
        };
        let mut resource = Self {
            name: names.of(&name),
            version: version.into(),
            hash,
            body: xxh3_64(&any.value),
            // A copy: the bytes are a part of a larger buffer.
            recorded: record.then(|| Bytes::copy_from_slice(&any.value)),
            leads: Vec::new(),
            vhds: false,
        };
        resource.follow(Kind::of(&any.type_url), any.value, names)?;
        Ok(resource)
    }

    fn follow(&mut self, kind: Option<Kind>, body: Bytes, names: &Names) -> Result<(), prost::DecodeError> {
        match kind {
            Some(Kind::Cds) => {
                let cluster = envoy::Cluster::decode(body)?;
                self.lead(Kind::Eds, cluster.endpoints(), names);
                self.lead(Kind::Sds, cluster.secrets().iter().map(String::as_str), names);
            }
            Some(Kind::Lds) => {
                let listener = envoy::Listener::decode(body)?;
                self.lead(Kind::Rds, listener.tables().iter().map(String::as_str), names);
                self.lead(Kind::Sds, listener.secrets().iter().map(String::as_str), names);
            }
            Some(Kind::Rds) => self.vhds = envoy::Table::decode(body)?.vhds.is_some(),
            Some(Kind::Eds | Kind::Sds | Kind::Vhds) | None => {}
        }
        Ok(())
    }

    fn lead<'a>(&mut self, kind: Kind, to: impl IntoIterator<Item = &'a str>, names: &Names) {
        self.leads.extend(to.into_iter().map(|name| (kind, names.of(name))));
    }
}
