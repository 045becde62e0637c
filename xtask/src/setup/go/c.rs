//! C programs that a Go module brings along in its zip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::super::versions::GoTool;

/// Where Go has unpacked the module.
pub(super) fn module_directory(repository: &Path, tool: &GoTool, version: &str) -> Result<PathBuf> {
    let mut go = Command::new("go");
    // With a version on the command line Go would ask for the list of all versions.
    match &tool.pinned_in {
        Some(directory) => go
            .current_dir(repository.join(directory))
            .args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}"])
            .arg(&tool.module),
        None => bail!(
            "{} {version} has C programs but no pinned_in: give it one in tools/versions.toml",
            tool.name
        ),
    };
    let output = go.output().context("cannot run go")?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        bail!("go cannot find {}: {}", tool.module, messages.trim());
    }
    let text = String::from_utf8(output.stdout).context("go prints no UTF-8")?;
    Ok(PathBuf::from(text.trim()))
}

/// Compiles all sources of a directory into one static program.
pub(super) fn compile(sources: &Path, program: &Path) -> Result<()> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(sources).with_context(|| format!("cannot read {}", sources.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} holds no C sources", sources.display());
    }
    let status = Command::new("gcc")
        .args(["-std=c99", "-O2", "-static", "-o"])
        .arg(program)
        .args(&files)
        .status()
        .context("cannot run gcc: run `cargo xtask setup --only apt`")?;
    if !status.success() {
        bail!(
            "gcc could not build {}: its messages are above",
            program.display()
        );
    }
    Ok(())
}
