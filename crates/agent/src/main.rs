//! `meltemi-agent`: does in the pod what must be done beside the proxy.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod commands;

/// Meltemi beside the proxy.
#[derive(Parser)]
#[command(name = "meltemi-agent", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bootstrap(commands::bootstrap::Bootstrap),
    Proxy(Box<commands::proxy::Proxy>),
    Redirect(Box<commands::redirect::Redirect>),
    Request(commands::request::Request),
    Wait(commands::wait::Wait),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let (given, unused) = commands::pilot::arguments(&Arguments::command(), std::env::args());
    let arguments = Arguments::parse_from(given);
    for flag in unused {
        eprintln!("warning: {flag} has no effect here");
    }
    let ended = match arguments.command {
        Command::Bootstrap(command) => command.run(),
        Command::Proxy(command) => return command.run(),
        Command::Redirect(command) => return command.run(),
        Command::Request(command) => command.run(),
        Command::Wait(command) => command.run(),
        Command::Version => {
            commands::print(&Arguments::command().render_version());
            Ok(())
        }
    };
    commands::ended(ended)
}
