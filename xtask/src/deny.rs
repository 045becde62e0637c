//! `cargo xtask deny`: what the project depends on, checked with cargo-deny.

use std::process::Command;

use crate::cargo::{root, run};
use crate::setup::cargo_tool;

/// Checks everything that needs no network beyond the registry itself.
pub(crate) fn check() -> anyhow::Result<()> {
    let program = cargo_tool("cargo-deny")?;
    let checks = ["--all-features", "check", "bans", "licenses", "sources"];
    run(Command::new(program).current_dir(root()).args(checks))
}
