//! Child processes that do not outlive their owner.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running program; it is ended when this is dropped.
pub struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts a program with its output in a file.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// When it is not running any more.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}", self.name),
        }
    }

    /// How it ended; nothing while it runs.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ended(&mut self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is not running any more.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        // Its number is its own as long as nobody has waited for it.
        self.check()?;
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)
            .with_context(|| format!("{signal} to {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits; kills it when that takes longer than `grace`.
    pub fn stop(&mut self, grace: Duration) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let deadline = Instant::now() + grace;
        while asked.is_ok() && Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }

    /// Ends it and what it has started, which would outlive it: an agent that is killed cannot end its Envoy.
    fn kill(&mut self) {
        // Not when it has ended on its own: by then its number may be another's.
        let started = if let Ok(None) = self.child.try_wait() { descendants(self.child.id()) } else { Vec::new() };
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in started {
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts programs that end with this process, even when it is killed: the kernel tells them (`PR_SET_PDEATHSIG`). What the kernel watches
/// is the thread that started them, so they are all started by one that lives as long as this value.
pub struct Keeper {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Keeper {
    /// Starts the thread.
    #[must_use]
    pub fn new() -> Self {
        let (jobs, taken) = mpsc::channel::<Job>();
        let thread = std::thread::spawn(move || taken.iter().for_each(|job| job()));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// A command for a program that is killed when its keeper is gone. What is set on it is what the program gets.
    #[must_use]
    pub fn command(program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Starts a program with its output in a file.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, name: &str, mut command: Command, log: &Path) -> anyhow::Result<Running> {
        let (name, log) = (name.to_owned(), log.to_owned());
        self.run(move || Running::start(&name, &mut command, &log))?
    }

    /// Runs something on the thread that keeps.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
        let (done, result) = mpsc::channel();
        let job: Job = Box::new(move || _ = done.send(job()));
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).context("the keeper has ended")?;
        result.recv().context("the keeper has ended")
    }
}

impl Default for Keeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a process has started, and what that has started in turn.
fn descendants(process: u32) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let child = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // Behind the name in parentheses, which may hold anything, stand the state and the parent.
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            Some((child, parent))
        })
        .collect();
    let mut found = vec![process];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        at += 1;
    }
    found.iter().skip(1).filter_map(|process| i32::try_from(*process).ok().map(Pid::from_raw)).collect()
}

/// Waits until something holds.
///
/// # Errors
/// When it does not in time; the last reason is given.
pub fn eventually<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error.context(format!("waiting for {what}"))),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_started_ends_with_it() {
        let folder = std::env::temp_dir();
        let log = folder.join(format!("meltemi-process-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let running = Running::start("sh", &mut command, &log).unwrap();
        let started = eventually("its child", Duration::from_secs(10), || {
            Ok(std::fs::read_to_string(&log)?.trim().parse::<u32>()?)
        });
        let started = started.unwrap();
        drop(running);
        let alive =
            || std::fs::read_to_string(format!("/proc/{started}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        let gone = eventually("its child to be gone", Duration::from_secs(10), || {
            anyhow::ensure!(!alive(), "{started} runs on");
            Ok(())
        });
        gone.unwrap();
        std::fs::remove_file(log).unwrap();
    }
}
