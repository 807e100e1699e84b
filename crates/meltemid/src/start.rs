//! Whether a control plane on a cluster may begin: when everything was listed, and its namespace has no roots of another control plane,
//! since what it signed would be trusted by nobody there. Once begun it goes on: who can write a ConfigMap must not be able to stop it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::Kind;
use kubernetes::Standing;
use kubernetes::roots::Found;
use tokio::sync::watch;

use crate::Settings;

/// What has to be so before it begins.
#[derive(Clone)]
pub(crate) struct Start {
    standing: watch::Receiver<Standing>,
    found: watch::Receiver<Found>,
    /// Where its own ConfigMap is; nothing without an authority.
    home: Option<String>,
    begun: Arc<AtomicBool>,
}

impl Start {
    pub(crate) fn new(standing: watch::Receiver<Standing>, found: watch::Receiver<Found>, settings: &Settings) -> Self {
        let home = settings.ca_dir.as_ref().map(|_| settings.root_namespace.clone());
        Self { standing, found, home, begun: Arc::default() }
    }

    /// What was not listed yet, in words, and why where that is known; nothing when all was.
    pub(crate) fn awaited(&self) -> Option<String> {
        let standing = self.standing.borrow();
        let each = |kind: &Kind| match standing.trouble.get(kind) {
            Some(why) => format!("{} ({why})", kind.name()),
            None => kind.name().to_owned(),
        };
        let awaited: Vec<String> = standing.awaited.iter().map(each).collect();
        (!awaited.is_empty()).then(|| awaited.join(", "))
    }

    /// Kinds that are not seen, or not any more, and why.
    pub(crate) fn trouble(&self) -> BTreeMap<Kind, String> {
        self.standing.borrow().trouble.clone()
    }

    /// What keeps it from beginning, beside what was not listed yet.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let home = self.home.as_ref().filter(|_| !self.begun.load(Ordering::Relaxed))?;
        let found = self.found.borrow();
        if !found.looked {
            return Some("the roots in the namespaces were not looked at yet".to_owned());
        }
        if found.foreign.contains(home) {
            return Some(format!(
                "ConfigMap istio-ca-root-cert in {home} holds the root of another control plane: give this one that CA (Secret \
                 cacerts), or delete the ConfigMap once the other is gone"
            ));
        }
        self.begun.store(true, Ordering::Relaxed);
        None
    }

    /// In how many namespaces there are roots of another control plane.
    pub(crate) fn foreign(&self) -> usize {
        self.found.borrow().foreign.len()
    }
}
