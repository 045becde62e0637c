//! `make parity`: upstream nono and kubefence's launcher, operation by operation.
//!
//! Both run the same probe under the profile `default`, as root and as UID 1000, in fresh copies of one Debian root
//! filesystem. Where they differ, deviations.toml must say why. Nothing outside of a scratch directory is written.
//!
//! Not here: whether the profile is right. The other suites check it against its specification.

#![forbid(unsafe_code)]

mod compare;
mod deviations;
mod outcome;
mod report;
mod rootfs;
mod runs;
mod stage;
mod suite;
mod targets;
mod workshop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Compares kubefence's launcher with upstream nono")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all probes and compare
    Compare(suite::Args),
    /// Print the table of docs/parity.md
    Deviations,
    /// One run, inside its namespaces
    #[command(hide = true)]
    Stage(stage::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Compare(args) => suite::compare(&args),
        Task::Deviations => suite::deviations(),
        Task::Stage(args) => stage::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
