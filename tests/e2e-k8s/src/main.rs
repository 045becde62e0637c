//! `make e2e-k8s`: a real single-node Kubernetes cluster on this machine, and the checks on it.
//!
//! The program starts itself again in namespaces of its own (`outside` → `machine::init` → `inside`), where the node has
//! its own /etc, /opt, /run and /var/lib, so that all paths have their real names and nothing of the machine is changed.

#![forbid(unsafe_code)]

mod checks;
mod cli;
mod cluster;
mod helm;
mod inside;
mod kubectl;
mod machine;
mod manifests;
mod outside;
mod suite;
mod tools;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Place};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.place {
        None => outside::run(&cli.selection),
        Some(Place::Init(node)) => machine::init::run(&node.scratch, &cli.selection),
        Some(Place::Inside(node)) => inside::run(&node.scratch, &cli.selection),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
