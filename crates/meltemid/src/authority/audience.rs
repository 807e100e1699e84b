//! Those who have to know the roots before anything is signed below a new one: the streams, and whether they took them.

use std::time::Duration;

use model::settings::TrustBundle;
use tokio::sync::watch;
use xds::{ResourceType, Server};

use crate::control::{Command, Control};

/// Istio's agents say that they took the roots when they have yet to ask for a certificate, with whose answer their proxies get them
/// (`istio: security/pkg/nodeagent/cache/secretcache.go UpdateConfigTrustBundle`), and all ask at once. Each is given this time: what a
/// certificate costs one processor, with room.
const EACH: Duration = Duration::from_millis(5);

/// Who does not have the roots yet, by node.
#[derive(Default)]
pub(crate) struct Standing {
    /// How many said that they took them.
    pub(crate) taken: u32,
    /// They will tell when they do.
    pub(crate) waiting: Vec<String>,
    /// They have them with their next certificates, and do not tell.
    pub(crate) unaware: Vec<String>,
}

impl Standing {
    /// Whether all have them.
    pub(crate) fn is_complete(&self) -> bool {
        self.waiting.is_empty() && self.unaware.is_empty()
    }

    /// How long those who took the roots may need before they have them.
    pub(crate) fn digesting(&self) -> Duration {
        EACH * self.taken
    }
}

/// Those who have to know the roots.
pub(crate) trait Audience {
    /// Tells them the roots, each as PEM.
    fn tell(&self, roots: Vec<String>);
    /// Who does not have these roots; `None` before they were told.
    fn standing(&self, roots: &[String]) -> Option<Standing>;
}

/// The streams of a server.
pub(crate) struct Streams {
    pub(crate) control: Control,
    pub(crate) server: Server,
    /// Hears the roots as one PEM, for those who are told in other ways.
    pub(crate) roots: watch::Sender<String>,
}

impl Audience for Streams {
    fn tell(&self, roots: Vec<String>) {
        self.roots.send_replace(roots.concat());
        self.control.send(Command::Trust(roots));
    }

    fn standing(&self, roots: &[String]) -> Option<Standing> {
        let view = self.control.view()?;
        if view.mesh.db().input::<TrustBundle>(&()).is_none_or(|told| *told != roots) {
            return None;
        }
        let mut standing = Standing::default();
        for connection in self.server.connections() {
            let of = |kind| connection.types.iter().find(move |(status, _)| status.kind == kind);
            match of(ResourceType::Pcds) {
                Some((_, live)) if *live => standing.taken += 1,
                Some(_) => standing.waiting.push(connection.client.node.clone()),
                // Who asks for neither does not talk to others.
                None if of(ResourceType::Cds).or(of(ResourceType::Lds)).is_some() => {
                    standing.unaware.push(connection.client.node.clone());
                }
                None => {}
            }
        }
        Some(standing)
    }
}
