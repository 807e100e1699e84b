//! Work on a thread of its own in some place, which ends when it is not held any more.

use std::fs::File;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context;
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use crate::net::Place;

/// Running work.
pub(super) struct Task {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// By which work says that it has got so far that others can go on.
pub(super) struct Ready(mpsc::Sender<anyhow::Result<()>>);

impl Ready {
    /// Says so.
    pub(super) fn tell(&self) {
        // Nobody waits for the second time.
        let _ = self.0.send(Ok(()));
    }
}

impl Task {
    /// Starts work, and waits until it says that it is ready.
    ///
    /// # Errors
    /// When the place cannot be entered, or the work ends with an error before it is ready.
    pub(super) fn start<W, F>(place: &Place, work: W) -> anyhow::Result<Self>
    where
        W: FnOnce(Ready) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, told) = mpsc::channel();
        let failed = ready.clone();
        let path = place.path();
        let thread = std::thread::spawn(move || {
            let worked = || {
                // Also for the threads that this one starts.
                if let Some(path) = path {
                    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
                    setns(&file, CloneFlags::CLONE_NEWNET).with_context(|| format!("entering {}", path.display()))?;
                }
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    tokio::select! {
                        worked = work(Ready(ready)) => worked,
                        _ = stopped => Ok(()),
                    }
                })
            };
            if let Err(error) = worked() {
                eprintln!("cluster: {error:#}");
                let _ = failed.send(Err(error));
            }
        });
        told.recv().context("the work has ended")??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
