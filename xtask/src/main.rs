//! Development tasks that are more than one command: `cargo xtask <task>`. The Makefile is the door to them.

#![forbid(unsafe_code)]

mod bench;
mod boundaries;
mod build;
mod cargo;
mod deny;
mod fuzz;
mod image;
mod parity;
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
    /// Write the container image from the built binaries, or have a container engine build it
    Image(image::Args),
    /// Run all suites and count them
    Test,
    /// Measure the built binaries and print the table of docs/benchmarks.md
    Bench,
    /// Compare our launcher with upstream nono, operation by operation
    Parity(parity::Args),
    /// Fuzz the parsers of profiles and plans
    Fuzz(fuzz::Args),
    /// Check the dependency rules of ARCHITECTURE.md
    Boundaries,
    /// Check licences, bans and sources of dependencies with cargo-deny
    Deny,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Build => build::build(),
        Task::Image(args) => image::run(&args),
        Task::Test => test::test(),
        Task::Bench => bench::bench(),
        Task::Parity(args) => parity::parity(&args),
        Task::Fuzz(args) => fuzz::fuzz(&args),
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
