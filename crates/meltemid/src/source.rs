//! Where the configuration comes from: a directory, or the API server with all that is written back to it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use api::mesh::LabelSelector;
use kubernetes::lease::{self, Candidate, Hold};
use kubernetes::{Cluster, Standing, Writer, roots, webhooks};
use names::Name;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::authority::{Secrets, Shared};
use crate::control::{Command, Control};
use crate::settings::Settings;
use crate::start::Start;
use crate::tasks::{OnExit, Tasks};
use crate::{addresses, analysis, ingresses};

/// How often it is looked whether the mesh's settings are others …
const LOOK: Duration = Duration::from_millis(500);
/// … and at first whether there are some.
const FIRST_LOOK: Duration = Duration::from_millis(20);

/// A source.
pub(crate) enum Source {
    /// Files and folders of YAML.
    Files(Vec<PathBuf>),
    /// A cluster.
    Cluster(Box<OfCluster>),
}

/// A cluster as the source, and what is written there.
pub(crate) struct OfCluster {
    pub(crate) cluster: Cluster,
    /// The authority's Secrets, when they are followed.
    pub(crate) secrets: Option<Secrets>,
    /// The roots as one PEM, once there are some.
    pub(crate) roots: watch::Receiver<String>,
    standing: watch::Sender<Standing>,
    candidate: Candidate,
    /// Whether this replica writes.
    hold: Hold,
    revision: String,
    /// How often analysis says at most what it finds, if it does.
    analysis: Option<Duration>,
    /// Hosts are given addresses.
    allocates: bool,
    /// What the ConfigMaps of roots hold.
    found: watch::Sender<roots::Found>,
}

impl OfCluster {
    pub(crate) fn new(
        settings: &Settings,
        cluster: Cluster,
        secrets: Option<Secrets>,
        roots: watch::Receiver<String>,
    ) -> (Self, Start) {
        let (found, seen) = watch::channel(roots::Found::default());
        let (standing, seen_of) = watch::channel(Standing::default());
        let name = match settings.revision.as_str() {
            "default" => "meltemi-leader".to_owned(),
            other => format!("meltemi-leader-{other}"),
        };
        let identity = settings.replica();
        let candidate = Candidate { namespace: settings.root_namespace.clone(), name, identity };
        let (analysis, allocates) = (settings.analysis(), settings.allocate_addresses);
        let start = Start::new(seen_of, seen, settings);
        let revision = settings.revision.clone();
        let hold = Hold::default();
        (Self { cluster, secrets, roots, standing, candidate, hold, revision, analysis, allocates, found }, start)
    }

    /// The other replicas, where the authority is in Secrets.
    pub(crate) fn shared(&self) -> Option<Shared> {
        let Candidate { namespace, identity, .. } = &self.candidate;
        let shared = || Shared::new(self.cluster.clone(), namespace.clone(), identity.clone(), self.hold.lead());
        self.secrets.as_ref().map(|_| shared())
    }
}

impl Source {
    /// Starts the tasks that read, and those that write.
    pub(crate) fn start(self, tasks: &mut Tasks, control: Control, stop: &CancellationToken) {
        let of = match self {
            Self::Cluster(of) => *of,
            Self::Files(paths) => {
                let watched = stop.clone();
                tasks.spawn("files", OnExit::StopProcess, async move {
                    let sink = move |changes| control.send(Command::Config(changes));
                    files::watch(paths, sink, watched).await.context("watching the configuration")
                });
                return;
            }
        };
        let OfCluster { cluster, secrets, roots, standing, candidate, hold, revision, analysis, allocates, found } = of;
        let (namespace, watched, from) = (candidate.namespace.clone(), stop.clone(), cluster.clone());
        let root = Name::from(&namespace);
        let seen = control.clone();
        tasks.spawn("watches", OnExit::StopProcess, async move {
            let sink = move |changes| control.send(Command::Config(changes));
            kubernetes::watch(from, root, standing, sink, watched).await;
            Ok(())
        });
        if let Some(secrets) = secrets {
            until(tasks, "authority's Secrets", stop, secrets.follow());
        }
        let lead = hold.lead();
        let (campaign, over) = (cluster.clone(), stop.clone());
        tasks.spawn("lease", OnExit::LogOnly, async move {
            lease::campaign(campaign, candidate, hold, over).await;
            Ok(())
        });
        if allocates {
            until(tasks, "addresses", stop, addresses::run(cluster.clone(), seen.clone(), lead.clone()));
        }
        until(tasks, "ingresses", stop, ingresses::run(cluster.clone(), seen.clone(), lead.clone()));
        if let Some(interval) = analysis {
            until(tasks, "analysis", stop, analysis::run(cluster.clone(), seen.clone(), lead.clone(), interval));
        }
        let writer = Writer { cluster, namespace, roots, lead };
        until(tasks, "webhooks", stop, webhooks::patch(writer.clone(), revision, found.subscribe()));
        let (select, selectors) = watch::channel(None);
        until(tasks, "discovery selectors", stop, select_by(seen, select));
        until(tasks, "roots", stop, roots::distribute(writer, selectors, found));
    }
}

/// Tells which namespaces the mesh's settings select. Never returns.
async fn select_by(control: Control, tell: watch::Sender<Option<Vec<LabelSelector>>>) {
    let mut seen = None;
    loop {
        if let Some(view) = control.view().filter(|view| seen != Some(view.commits)) {
            seen = Some(view.commits);
            let selectors = view.mesh.discovery_selectors();
            tell.send_if_modified(|told| {
                let other = told.as_deref() != Some(selectors);
                *told = Some(selectors.to_vec());
                other
            });
        }
        tokio::time::sleep(if seen.is_some() { LOOK } else { FIRST_LOOK }).await;
    }
}

/// A task without end of its own.
fn until(
    tasks: &mut Tasks,
    name: &'static str,
    stop: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(name, OnExit::LogOnly, async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = task => {}
        }
        Ok(())
    });
}
