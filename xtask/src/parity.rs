//! `cargo xtask parity`: upstream nono and our launcher, operation by operation.

use std::process::Command;

use anyhow::Context as _;

use crate::cargo::{artifacts, root, run};
use crate::setup::cargo_tool;

/// Arguments of `cargo xtask parity`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document with all outcomes
    #[arg(long)]
    json: bool,
    /// Print the listed deviations, too
    #[arg(long, short)]
    verbose: bool,
}

/// Installs upstream nono if need be, and compares.
pub(crate) fn parity(args: &Args) -> anyhow::Result<()> {
    let launcher = artifacts("launcher")?.join("nono");
    let launcher = launcher
        .canonicalize()
        .with_context(|| format!("{} is missing: run `make build`", launcher.display()))?;
    let upstream = cargo_tool("nono-cli")?;
    let mut command = Command::new("cargo");
    command
        .current_dir(root())
        .env("KUBEFENCE_NONO", launcher)
        .args(["run", "--quiet", "--package", "parity", "--", "compare"])
        .arg("--nono")
        .arg(upstream)
        .args(args.json.then_some("--json"))
        .args(args.verbose.then_some("--verbose"));
    run(&mut command)
}
