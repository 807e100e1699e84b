//! Child processes that do not outlive their owner.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
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
