//! `meltemi`: inspects and computes what the control plane would do, offline from files, installs it, and shows a mesh at work.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;
mod demo;

/// Meltemi at the desk: what is valid, what proxies would be told, a mesh to look at.
#[derive(Parser)]
#[command(name = "meltemi", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Validate(commands::validate::Validate),
    Xds(commands::xds::Xds),
    Inject(commands::inject::Inject),
    Ca(commands::ca::Ca),
    Install(commands::install::Install),
    Uninstall(commands::install::Uninstall),
    Manifest(commands::install::Manifest),
    Demo(commands::demo::Demo),
    #[command(hide = true)]
    DemoApp(commands::demo::DemoApp),
    #[command(hide = true)]
    DemoLoad(commands::demo::DemoLoad),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Command::Validate(command) => command.run(),
        Command::Xds(command) => command.run(),
        Command::Inject(command) => command.run(),
        Command::Ca(command) => Ok(command.run()),
        Command::Install(command) => Ok(command.run()),
        Command::Uninstall(command) => Ok(command.run()),
        Command::Manifest(command) => Ok(command.run()),
        Command::Demo(command) => command.run(),
        Command::DemoApp(command) => command.run(),
        Command::DemoLoad(command) => command.run(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("meltemi: {error:#}");
        ExitCode::from(2)
    })
}
