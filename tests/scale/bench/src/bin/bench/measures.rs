//! All measures of one server, in the order in which they can be taken: each leaves the mesh and the proxies as the next one needs them.

use anyhow::Context;
use bench::edits::{Change, Edit, Kind};
use bench::folder::Folder;
use bench::load::Load;
use bench::mesh::Mesh;
use bench::programs::Ground;

use crate::cluster::Source;
use crate::secured::Authority;
use crate::server::{Origin, Program, Server};
use crate::settings::Settings;
use crate::value::Value;

mod churn;
mod connect;
mod edits;
mod fairness;
mod memory;
mod reconnect;
mod scaling;
mod soak;

/// One server and what it is measured with.
pub(crate) struct Pass<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) mesh: &'a Mesh,
    pub(crate) program: &'a Program,
    pub(crate) ground: &'a Ground,
    pub(crate) authority: Option<&'a Authority>,
    /// The API server that has the mesh, where that is its source.
    pub(crate) cluster: Option<&'a Source>,
    /// Edits begin with this round: where the mesh stays from one server to the next, none comes twice.
    pub(crate) first: u32,
}

/// What came out.
pub(crate) struct Outcome {
    pub(crate) values: Vec<Value>,
    /// What some of the proxies were sent at first: for each, names of each type, and a hash of each body.
    pub(crate) sent: Vec<serde_json::Value>,
}

/// Where the mesh is.
enum Place<'a> {
    Folder(Folder),
    Cluster(&'a Source),
}

/// A server with its mesh and its proxies.
struct Run<'a> {
    pass: &'a Pass<'a>,
    place: Place<'a>,
    server: Server,
    load: Load,
    /// Rounds of edits that were made so far, so that none comes twice.
    rounds: u32,
}

impl Pass<'_> {
    /// Measures all.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let (mut values, place) = match self.cluster {
            Some(cluster) => (Vec::new(), Place::Cluster(cluster)),
            None => {
                let folder = Folder::new(&self.ground.folder("mesh")?)?;
                folder.fill(self.mesh)?;
                (if self.settings.counts { Vec::new() } else { memory::services(self)? }, Place::Folder(folder))
            }
        };
        let server = self.start(&place, None)?;
        eprintln!("{} is ready after {:.2} s", self.program.name(), server.ready.as_secs_f64());
        let load = Load::start(&server.target, self.mesh.shape.namespaces, &self.ground.folder("load")?)?;
        let mut run = Run { pass: self, place, server, load, rounds: self.first };
        values.extend(connect::first(&mut run)?);
        let sent =
            (0..self.mesh.shape.namespaces.min(3)).map(|client| run.load.config(client)).collect::<Result<_, _>>()?;
        values.extend(edits::all(&mut run)?);
        values.extend(churn::burst(&mut run)?);
        if !self.settings.counts {
            values.extend(fairness::all(&mut run)?);
        }
        values.extend(reconnect::dropped(&mut run)?);
        if let Some(minutes) = self.settings.soak {
            values.extend(soak::all(&mut run, minutes)?);
        }
        values.extend(reconnect::restarted(run)?);
        if self.settings.scaling {
            values.extend(scaling::all(self)?);
        }
        Ok(Outcome { values, sent })
    }

    fn start(&self, place: &Place, at: Option<std::net::SocketAddr>) -> anyhow::Result<Server> {
        let origin = match place {
            Place::Folder(folder) => Origin::Folder(folder.path().to_owned()),
            Place::Cluster(source) => Origin::Cluster(source.kubeconfig()),
        };
        let log = self.ground.folder("server")?;
        let started = self.program.start(&origin, self.authority, at, &log);
        started.with_context(|| format!("starting {}", self.program.name()))
    }
}

impl Run<'_> {
    /// The next edit of a kind. No round is left out, also by a kind that the mesh has not: what has two states is in the other one in every
    /// second turn, and would be written as it is.
    fn next(&mut self, kind: Kind) -> Option<Edit> {
        let edit = self.pass.mesh.edit(kind, self.rounds)?;
        self.rounds += 1;
        Some(edit)
    }

    fn apply(&self, change: &Change) -> anyhow::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.apply(change),
            Place::Cluster(source) => source.apply(change),
        }
    }

    /// How many proxies there are.
    fn proxies(&self) -> u32 {
        self.pass.mesh.shape.proxies
    }
}
