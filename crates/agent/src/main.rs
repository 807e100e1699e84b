//! `meltemi-agent`: does in the pod what must be done beside the proxy.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Command::Bootstrap(command) => command.run(),
        Command::Proxy(command) => return command.run(),
        Command::Redirect(command) => command.run(),
    };
    ended.map_or_else(
        |error| {
            eprintln!("meltemi-agent: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
