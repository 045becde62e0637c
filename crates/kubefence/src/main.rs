//! `kubefence`: the operator's command.
//!
//! It reads profiles and explains them, and sets up nodes. Only `profile publish` and `node` change a node, only `cluster`
//! talks to the API server.

#![forbid(unsafe_code)]

mod cli;
mod cluster;
mod node;
mod print;
mod profile;
mod shell;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Profile(args) => profile::run(args),
        Command::Node(args) => node::run(args),
        Command::Cluster(args) => cluster::run(args),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { directory } => shell::man(directory.as_deref()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            print::failure(&error);
            ExitCode::FAILURE
        }
    }
}
