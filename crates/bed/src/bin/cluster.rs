//! `cluster`: a test cluster that stays, for a person. `make cluster` and `make cluster-down` call it; its other commands are what becomes
//! containers.

#![expect(clippy::print_stdout, reason = "a command speaks to whoever calls it")]

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bed::cluster::{Cluster, Image, Images, Options, Pods, Tools, stage};
use bed::net;
use bed::process::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long it may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(150);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let home = PathBuf::from(".cache/cluster");
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up"] => up(&home),
        ["down"] => down(&home),
        ["serve"] => serve(&home),
        _ => return become_stage(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A part of a container.
fn become_stage(arguments: &[String]) -> ExitCode {
    match stage(arguments) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("cluster: {error:#}");
            // As shells say it of what cannot be run.
            ExitCode::from(127)
        }
    }
}

/// Starts one in the background, and says how to use it.
fn up(home: &Path) -> anyhow::Result<()> {
    let kubeconfig = std::path::absolute(home.join("kubeconfig"))?;
    if running(home).is_none() {
        let _ = std::fs::remove_file(&kubeconfig);
        let log = home.join("cluster.log");
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        // A group of its own: Ctrl-C is not meant for it.
        command.arg("serve").process_group(0).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().context("starting the cluster")?;
        eventually("the cluster", PATIENCE, || match child.try_wait()? {
            Some(_) => Ok(false),
            None if kubeconfig.is_file() => Ok(true),
            None => bail!("it has not come yet"),
        })
        .and_then(|came| if came { Ok(()) } else { bail!("{}", std::fs::read_to_string(&log)?.trim()) })?;
    }
    println!("the cluster is up; make cluster-down ends it");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!(
        "  images of Meltemi are those of `make images`, local/NAME is the program NAME of this machine, paper is nothing that runs"
    );
    println!("  {} get nodes", std::path::absolute(home.join("bin/kubectl"))?.display());
    Ok(())
}

/// Ends it.
fn down(home: &Path) -> anyhow::Result<()> {
    let Some(process) = running(home) else {
        println!("no cluster is up");
        return Ok(());
    };
    kill(process, Signal::SIGTERM).context("ending the cluster")?;
    eventually("the cluster to end", PATIENCE, || {
        ensure!(running(home).is_none(), "process {process} still runs");
        Ok(())
    })?;
    println!("the cluster is gone");
    Ok(())
}

/// The process that serves, if one does.
fn running(home: &Path) -> Option<Pid> {
    let process: i32 = std::fs::read_to_string(home.join("pid")).ok()?.trim().parse().ok()?;
    // Its number may be another's by now.
    let command = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
    command.ends_with(b"\0serve\0").then(|| Pid::from_raw(process))
}

/// What runs in a person's cluster.
fn images() -> anyhow::Result<Images> {
    let images = Images::default().with("paper", Image::Paper);
    let ours = images.clone().with_shipped(&std::env::current_dir()?);
    ours.or_else(|error| {
        println!("without images of Meltemi: {error:#}");
        Ok(images)
    })
}

/// Is the cluster, until it is told to end.
fn serve(home: &Path) -> anyhow::Result<()> {
    let (folder, kubeconfig, pid) = (home.join("run"), home.join("kubeconfig"), home.join("pid"));
    std::fs::write(&pid, std::process::id().to_string()).with_context(|| format!("writing {}", pid.display()))?;
    let _ = std::fs::remove_dir_all(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut options = Options::new(Tools::find(Path::new("."))?);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    options.folder = Some(folder.canonicalize()?);
    options.pods = Pods::Played(match net::obstacle() {
        None => images()?,
        Some(why) => {
            println!("pods are of paper only: {why}");
            Images::paper()
        }
    });
    let cluster = Cluster::start(options)?;
    // At once, since `up` waits for it.
    let beside = home.join("kubeconfig.part");
    std::fs::copy(cluster.kubeconfig(), &beside)?;
    std::fs::rename(&beside, &kubeconfig)?;
    runtime.block_on(async {
        let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = told.recv() => {}
            ended = tokio::signal::ctrl_c() => ended?,
        }
        anyhow::Ok(())
    })?;
    drop(cluster);
    for left in [kubeconfig, pid] {
        std::fs::remove_file(&left).with_context(|| format!("removing {}", left.display()))?;
    }
    Ok(())
}
