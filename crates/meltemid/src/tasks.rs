//! Every task has a name, and says what its end means.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the end of a task means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnExit {
    /// The process is of no use without it.
    StopProcess,
    /// It is missed, and that is all.
    LogOnly,
}

/// The tasks of the process.
pub(crate) struct Tasks {
    stop: CancellationToken,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Tasks {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { stop, running: Vec::new() }
    }

    /// Starts a task.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        exit: OnExit,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        let running = async move {
            let ended = task.await;
            if stop.is_cancelled() {
                return;
            }
            match ended {
                Ok(()) => tracing::error!(task = name, "ended before its time"),
                Err(error) => tracing::error!(task = name, "{error:#}"),
            }
            if exit == OnExit::StopProcess {
                stop.cancel();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "this is the place where tasks are started")]
        self.running.push((name, tokio::spawn(running)));
    }

    /// Waits until all have ended.
    pub(crate) async fn join(self) {
        for (name, task) in self.running {
            if task.await.is_err() {
                tracing::error!(task = name, "panicked");
            }
        }
    }
}
