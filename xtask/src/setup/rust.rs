//! Cargo tools: `cargo install` of a pinned version into a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Installs one version of a crate's program unless it is there, and returns its path.
pub(crate) fn install(tools: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let home = tools.join(format!("{name}-{version}"));
    let program = home.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    println!("{name}-{version}: building, a few minutes");
    let status = Command::new("cargo")
        .args([
            "install",
            "--quiet",
            "--locked",
            "--version",
            version,
            name,
            "--root",
        ])
        .arg(&home)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not install {name} {version}: its messages are above");
    }
    Ok(program)
}
