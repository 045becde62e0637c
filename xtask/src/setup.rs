//! `cargo xtask setup`: what the end-to-end tests need and the machine lacks.
//!
//! Debian packages come from apt, everything else from `go install` into `.cache/tools`. A second run does
//! nothing; an interrupted one leaves nothing half-installed.

mod apt;
mod go;
mod rust;
mod versions;

use std::path::PathBuf;

use anyhow::{Result, bail};

use self::versions::Versions;

/// The name under which `--only` selects the Debian packages.
const APT: &str = "apt";

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install only these: `apt`, or the name of a Go tool (repeatable)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// The program that crate `name` of tools/versions.toml installs; builds it if it is not there yet.
pub(crate) fn cargo_tool(name: &str) -> Result<PathBuf> {
    let repository = repository();
    let versions = Versions::read(&repository.join("tools/versions.toml"))?;
    let Some(tool) = versions.cargo.get(name) else {
        bail!("tools/versions.toml pins no {name}");
    };
    rust::install(&repository.join(".cache/tools"), name, tool)
}

/// Installs whatever is selected and missing.
pub(crate) fn run(args: &Args) -> Result<()> {
    let repository = repository();
    let versions = Versions::read(&repository.join("tools/versions.toml"))?;
    reject_unknown_names(&args.only, &versions)?;
    let selected = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);

    if selected(APT) {
        apt::install_missing(&versions.apt.packages)?;
    }
    let tools = repository.join(".cache/tools");
    for tool in versions.go.iter().filter(|tool| selected(&tool.name)) {
        for version in &tool.versions {
            go::install(&repository, &tools, tool, version)?;
        }
    }
    Ok(())
}

fn reject_unknown_names(only: &[String], versions: &Versions) -> Result<()> {
    let known: Vec<&str> = std::iter::once(APT)
        .chain(versions.go.iter().map(|tool| tool.name.as_str()))
        .collect();
    match only.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!(
            "--only {name}: no such tool, choose from {}",
            known.join(", ")
        ),
        None => Ok(()),
    }
}

/// The repository that this program was built from.
fn repository() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}
