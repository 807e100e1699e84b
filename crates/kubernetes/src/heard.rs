//! When the API server was last heard of about a kind: an object, a bookmark, or the beginning of a watch. A watch that is half open and an
//! API server that is held are silent; what is served then is as old as the silence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::Kind;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

/// Of each kind. Clones share it.
#[derive(Clone)]
pub struct Heard(Arc<Inner>);

struct Inner {
    since: Instant,
    /// Milliseconds since then, one more; 0 where nothing was heard.
    at: BTreeMap<Kind, AtomicU64>,
}

impl Default for Heard {
    fn default() -> Self {
        let at = Kind::ALL.iter().map(|kind| (*kind, AtomicU64::new(0))).collect();
        Self(Arc::new(Inner { since: Instant::now(), at }))
    }
}

impl Heard {
    /// For how long nothing was heard of each kind that was heard of at all.
    #[must_use]
    pub fn silence(&self) -> BTreeMap<Kind, Duration> {
        let now = self.0.since.elapsed();
        let silent = |at: &AtomicU64| {
            let heard = Duration::from_millis(at.load(Ordering::Relaxed).checked_sub(1)?);
            Some(now.saturating_sub(heard))
        };
        self.0.at.iter().filter_map(|(kind, at)| Some((*kind, silent(at)?))).collect()
    }

    fn note(&self, kind: Kind) {
        let passed = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.set(kind, passed + 1);
    }

    /// The kind is not there any more: its silence means nothing.
    pub(crate) fn forget(&self, kind: Kind) {
        self.set(kind, 0);
    }

    fn set(&self, kind: Kind, value: u64) {
        if let Some(at) = self.0.at.get(&kind) {
            at.store(value, Ordering::Relaxed);
        }
    }

    /// A client for the watch of a kind, which notes all that comes.
    pub(crate) fn listening(&self, kind: Kind, client: Client) -> Client {
        let heard = self.clone();
        let service = tower::service_fn(move |request| {
            let (heard, client) = (heard.clone(), client.clone());
            async move {
                let response = client.send(request).await?;
                let good = response.status().is_success();
                let note = move || {
                    if good {
                        heard.note(kind);
                    }
                };
                note();
                let noted = |body: Body| {
                    body.map_frame(move |frame| {
                        note();
                        frame
                    })
                };
                Ok::<_, kube::Error>(response.map(noted))
            }
        });
        Client::new(service, "default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_grows_until_something_is_heard_and_what_is_gone_has_none() {
        let heard = Heard::default();
        assert!(heard.silence().is_empty());
        heard.note(Kind::Service);
        tokio::time::advance(Duration::from_secs(70)).await;
        heard.note(Kind::Pod);
        let expected = [(Kind::Service, Duration::from_secs(70)), (Kind::Pod, Duration::ZERO)];
        assert_eq!(heard.silence(), expected.into());
        heard.note(Kind::Service);
        heard.forget(Kind::Pod);
        assert_eq!(heard.silence(), [(Kind::Service, Duration::ZERO)].into());
    }
}
