//! Go tools: `go install` of a pinned version into a directory of its own, and the C programs of such a module.

mod c;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::versions::GoTool;

/// Installs one version of a tool unless all its binaries are there.
pub(crate) fn install(repository: &Path, tools: &Path, tool: &GoTool, version: &str) -> Result<()> {
    let name = format!("{}-{version}", tool.name);
    let home = tools.join(&name);
    if tool.binaries().all(|binary| home.join(binary).is_file()) {
        println!("{name}: installed");
        return Ok(());
    }
    println!("{name}: building, some minutes with cold caches");
    let began = Instant::now();
    // Built aside and renamed, so that an interrupted build is never taken for an installed tool.
    let partial = tools.join(format!(".partial-{name}"));
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    build(repository, tool, version, &partial)?;
    for (program, sources) in &tool.c_programs {
        let module = c::module_directory(repository, tool, version)?;
        c::compile(&module.join(sources), &partial.join(program))?;
    }
    link(tool, &partial)?;
    remove(&home)?;
    fs::rename(&partial, &home).with_context(|| format!("cannot rename {}", partial.display()))?;
    println!("{name}: built in {} s", began.elapsed().as_secs());
    Ok(())
}

fn build(repository: &Path, tool: &GoTool, version: &str, into: &Path) -> Result<()> {
    let mut go = Command::new("go");
    go.arg("install")
        .env("GOBIN", into)
        .env("CGO_ENABLED", if tool.cgo { "1" } else { "0" });
    if !tool.tags.is_empty() {
        go.arg("-tags").arg(tool.tags.join(","));
    }
    if tool.strip {
        go.args(["-ldflags", "-s -w"]);
    }
    match &tool.pinned_in {
        Some(directory) => {
            let directory = repository.join(directory);
            check_pin(&directory.join("go.mod"), tool, version)?;
            go.arg("-mod=readonly").arg("tool").current_dir(directory);
        }
        None => {
            go.args(
                tool.packages()
                    .map(|package| format!("{package}@v{version}")),
            );
        }
    }
    let status = go.status().context(
        "cannot run go: install Go 1.26.3 or newer (https://go.dev/dl) and put it on PATH",
    )?;
    if !status.success() {
        bail!(
            "go could not build {} {version}: its messages are above",
            tool.name
        );
    }
    Ok(())
}

/// Gives the first command its other names.
fn link(tool: &GoTool, directory: &Path) -> Result<()> {
    let Some(command) = tool.binaries().next() else {
        bail!("{} has no command to link to", tool.name);
    };
    for name in &tool.links {
        let path = directory.join(name);
        symlink(&command, &path).with_context(|| format!("cannot link {}", path.display()))?;
    }
    Ok(())
}

/// The version is written down twice for such a tool; both must say the same.
fn check_pin(go_mod: &Path, tool: &GoTool, version: &str) -> Result<()> {
    let text =
        fs::read_to_string(go_mod).with_context(|| format!("cannot read {}", go_mod.display()))?;
    let wanted = format!("{} v{version}", tool.module);
    if !text
        .lines()
        .any(|line| line.trim().trim_end_matches("// indirect").trim_end() == wanted)
    {
        bail!(
            "{} does not require {wanted}: make it agree with tools/versions.toml",
            go_mod.display()
        );
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
