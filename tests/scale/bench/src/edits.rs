//! Edits of a mesh as a script: what is written, and which proxies it must reach. The same mesh and round give the same edit.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::mesh::{File, Mesh};
use crate::shape::Shape;

/// Kinds of edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// An endpoint is ready, or no more.
    Endpoint,
    /// A VirtualService's timeout, and the weights of versions where it has them.
    Route,
    /// A DestinationRule's connections.
    Rule,
    /// A service with endpoints that was not there.
    NewService,
    /// One of these goes: as many as there were new ones can.
    DeletedService,
    /// A PeerAuthentication of one service: its port takes plain text only, so that nobody calls it by mutual TLS; and back.
    Policy,
    /// The root namespace's PeerAuthentication: STRICT and back.
    MeshWide,
    /// A Service's annotation, which means nothing to a proxy.
    NoOp,
}

impl Kind {
    /// All of them, in an order in which each finds what it needs.
    pub const ALL: [Self; 8] = [
        Self::Endpoint,
        Self::Route,
        Self::Rule,
        Self::NewService,
        Self::DeletedService,
        Self::Policy,
        Self::MeshWide,
        Self::NoOp,
    ];

    /// What it is called in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint change",
            Self::Route => "route edit",
            Self::Rule => "rule edit",
            Self::NewService => "new service",
            Self::DeletedService => "deleted service",
            Self::Policy => "policy edit",
            Self::MeshWide => "mesh-wide edit",
            Self::NoOp => "no-op",
        }
    }
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A file is written, or its objects are applied.
    Put(File),
    /// A file is removed, or its objects are deleted.
    Remove(File),
}

/// Which proxies an edit must reach; no other may notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touches {
    /// Every one.
    All,
    /// Those of a namespace.
    Namespace(u32),
    /// Nobody.
    None,
}

/// An edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Of which kind it is.
    pub kind: Kind,
    /// What is done.
    pub change: Change,
    /// Whom it reaches.
    pub touches: Touches,
}

impl Touches {
    /// How many proxies that are.
    #[must_use]
    pub fn proxies(self, shape: &Shape) -> u32 {
        match self {
            Self::All => shape.proxies,
            Self::Namespace(number) => shape.proxies_in(number),
            Self::None => 0,
        }
    }
}

impl Mesh {
    /// The edit of a kind in a round; none where the mesh has nothing of that kind.
    #[must_use]
    pub fn edit(&self, kind: Kind, round: u32) -> Option<Edit> {
        let (change, touches) = match kind {
            Kind::Endpoint => self.endpoint_edit(round),
            Kind::Route => {
                let service = self.turn(self.with_route(), "route edit", round)?;
                (Change::Put(self.route(service, round + 1)?), self.seen(service))
            }
            Kind::Rule => {
                let service = self.turn(self.with_rule(), "rule edit", round)?;
                (Change::Put(self.rule(service, round + 1)?), self.seen(service))
            }
            Kind::NewService => (Change::Put(self.another(round)), self.seen(round)),
            Kind::DeletedService => (Change::Remove(self.another(round)), self.seen(round)),
            Kind::Policy => {
                let policies = u32::try_from(self.with_policy().len()).ok()?;
                let service = self.turn(self.with_policy(), "policy edit", round)?;
                (Change::Put(self.peers_of(service, (round / policies).is_multiple_of(2))?), self.seen(service))
            }
            Kind::MeshWide => (Change::Put(self.peers(round.is_multiple_of(2))), Touches::All),
            Kind::NoOp => {
                // Of a service, which no other edit writes: a note alone must be what is new.
                let file = self.service_alone(self.pick("no-op", round));
                (Change::Put(annotated(file, round)), Touches::None)
            }
        };
        Some(Edit { kind, change, touches })
    }

    /// A different service in each round, until all had their turn; the hot one where there is one.
    fn endpoint_edit(&self, round: u32) -> (Change, Touches) {
        let (service, turn) = match self.shape.hot {
            Some(_) => (0, round),
            None => (self.pick("endpoint", round), round / self.shape.services),
        };
        (Change::Put(self.endpoints(service, turn % 2 == 1)), self.seen(service))
    }

    /// Who sees a service.
    fn seen(&self, service: u32) -> Touches {
        if self.shape.scoped { Touches::Namespace(service % self.shape.namespaces) } else { Touches::All }
    }
}

/// The same objects with a note for people.
fn annotated(mut file: File, round: u32) -> File {
    for object in &mut file.objects {
        object["metadata"]["annotations"] = json!({ "example.com/note": format!("looked at in round {round}") });
    }
    file
}

impl Edit {
    /// As `meshgen edits` prints it: one line of JSON.
    #[must_use]
    pub fn line(&self, shape: &Shape) -> Value {
        let (what, file) = match &self.change {
            Change::Put(file) => ("put", file),
            Change::Remove(file) => ("remove", file),
        };
        let touches = match self.touches {
            Touches::All => json!("all"),
            Touches::Namespace(number) => json!({ "namespace": format!("ns-{number}") }),
            Touches::None => json!("none"),
        };
        json!({
            "edit": self.kind.name(), "do": what, "path": file.path, "objects": file.objects, "touches": touches,
            "proxies": self.touches.proxies(shape),
        })
    }
}
