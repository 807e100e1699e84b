//! What a process uses, as Linux counts it.

use std::time::Duration;

use anyhow::Context;
use bed::process::eventually;

/// The processor's time that a process has used so far. Linux counts it in 1/100 s.
pub(crate) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).context("reading what a process used")?;
    // Behind the name, which may hold anything, utime and stime are the 12th and 13th.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Ok(Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10))
}

/// Waits until a process has nothing to do any more.
pub(crate) fn quiet(process: u32) -> anyhow::Result<()> {
    eventually("the processor to be idle", Duration::from_secs(60), || {
        let before = cpu(process)?;
        std::thread::sleep(Duration::from_millis(500));
        anyhow::ensure!(cpu(process)? - before <= Duration::from_millis(10), "it is busy");
        Ok(())
    })
}

/// The memory of a process now, in MB.
pub(crate) fn memory(process: u32) -> anyhow::Result<f64> {
    status(process, "VmRSS:")
}

/// The most memory that it had since [`forget_peak`], in MB.
pub(crate) fn peak(process: u32) -> anyhow::Result<f64> {
    status(process, "VmHWM:")
}

fn status(process: u32, key: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).context("reading a process's memory")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context("no memory")?;
    let kilobytes: f64 = line.split_whitespace().next().context("no number")?.parse()?;
    Ok(kilobytes / 1024.0)
}

/// Forgets the peak so far.
pub(crate) fn forget_peak(process: u32) -> anyhow::Result<()> {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("forgetting the peak")
}

/// Its memory in MB, when it does not change any more; as it is after 30 s otherwise.
pub(crate) fn settled(process: u32) -> anyhow::Result<f64> {
    let mut last = f64::NAN;
    let stays = eventually("memory to stay", Duration::from_secs(30), || {
        // What is freed goes back within about a second.
        std::thread::sleep(Duration::from_millis(1500));
        let before = std::mem::replace(&mut last, memory(process)?);
        anyhow::ensure!((last - before).abs() < 0.3, "it changes");
        Ok(last)
    });
    stays.or_else(|_| memory(process))
}

/// How busy the machine was in the last minute.
pub(crate) fn load() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("reading the load")?;
    Ok(text.split_whitespace().next().context("no load")?.parse()?)
}
