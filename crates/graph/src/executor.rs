//! Who runs the builders of one level. The engine owns no threads: it is handed an executor.

/// Runs jobs that do not depend on each other.
pub trait Executor {
    /// Calls `job` once with each number below `jobs`, in any order, from any thread, and returns when all calls have returned.
    fn run(&self, jobs: usize, job: &(dyn Fn(usize) + Sync));
}

/// Runs everything on the calling thread.
pub struct Inline;

impl Executor for Inline {
    fn run(&self, jobs: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..jobs).for_each(job);
    }
}
