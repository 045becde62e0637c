//! Cargo tools: `cargo install` of a pinned version into a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::versions::CargoTool;
use crate::cargo::root;

/// Installs one version of a crate's program unless it is there, and returns its path.
pub(crate) fn install(tools: &Path, name: &str, tool: &CargoTool) -> Result<PathBuf> {
    let version = &tool.version;
    let home = tools.join(format!("{name}-{version}"));
    let program = home
        .join("bin")
        .join(tool.program.as_deref().unwrap_or(name));
    if program.is_file() {
        return Ok(program);
    }
    // On stderr, because some tasks print documents; cargo reports its progress there, too.
    eprintln!("{name}-{version}: building, some minutes (once)");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(["install", "--version", version, name, "--root"])
        .arg(&home);
    if tool.locked {
        cargo.arg("--locked");
    }
    if !tool.default_features {
        cargo.arg("--no-default-features");
    }
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not install {name} {version}: its messages are above");
    }
    if !program.is_file() {
        bail!("{name} {version} has no program {}", program.display());
    }
    Ok(program)
}
