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

use self::versions::{GoTool, Versions};

/// The name under which `--only` selects the Debian packages.
const APT: &str = "apt";

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install only these: `apt`, or the name of a Go tool (repeatable)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Install only the tools of this group, which are left out otherwise: `kubernetes`, `systemd`
    #[arg(long, value_name = "GROUP", conflicts_with = "only")]
    group: Option<String>,
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
    reject_unknown_group(args.group.as_deref(), &versions)?;

    let everything = args.only.is_empty() && args.group.is_none();
    if everything || args.only.iter().any(|only| only == APT) {
        apt::install_missing(&versions.apt.packages)?;
    }
    if let Some(packages) = args
        .group
        .as_ref()
        .and_then(|group| versions.apt.groups.get(group))
    {
        apt::install_missing(packages)?;
    }
    let tools = repository.join(".cache/tools");
    let selected = |tool: &&GoTool| tool.is_selected(&args.only, args.group.as_deref());
    for tool in versions.go.iter().filter(selected) {
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

fn reject_unknown_group(group: Option<&str>, versions: &Versions) -> Result<()> {
    let of_packages = versions.apt.groups.keys().map(String::as_str);
    let of_tools = versions.go.iter().filter_map(|tool| tool.group.as_deref());
    let mut known = of_packages.chain(of_tools);
    match group {
        Some(group) if !known.any(|name| name == group) => {
            bail!("--group {group}: tools/versions.toml has no tool of that group")
        }
        _ => Ok(()),
    }
}

/// The repository that this program was built from.
fn repository() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}
