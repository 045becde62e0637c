//! Development tasks that are more than one command: `cargo xtask <task>`. The Makefile is the door to them.

#![forbid(unsafe_code)]

mod bench;
mod boundaries;
mod build;
mod cargo;
mod deny;
mod setup;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Development tasks of kubefence")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install the pinned tools of tools/versions.toml that are missing
    Setup(setup::Args),
    /// Build the release binaries, check them, and put them at the root
    Build,
    /// Run all suites and count them
    Test,
    /// Measure the built binaries and print the table of docs/benchmarks.md
    Bench,
    /// Check the dependency rules of ARCHITECTURE.md
    Boundaries,
    /// Check licences, bans and sources of dependencies with cargo-deny
    Deny,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Build => build::build(),
        Task::Test => test::test(),
        Task::Bench => bench::bench(),
        Task::Boundaries => boundaries::check(),
        Task::Deny => deny::check(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
