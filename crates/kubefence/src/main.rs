//! `kubefence`: the operator's command.
//!
//! It reads profiles and explains them. Only `profile publish` changes a node.

#![forbid(unsafe_code)]

mod cli;
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
