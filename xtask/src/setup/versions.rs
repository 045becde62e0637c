//! The contents of tools/versions.toml, as far as setup needs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Everything that setup can install.
#[derive(Debug, Deserialize)]
pub(crate) struct Versions {
    pub(crate) apt: Apt,
    pub(crate) go: Vec<GoTool>,
    /// Cargo programs: crate name to version.
    pub(crate) cargo: BTreeMap<String, String>,
}

/// Packages of the Debian archive.
#[derive(Debug, Deserialize)]
pub(crate) struct Apt {
    pub(crate) packages: Vec<String>,
}

/// One Go module, in one or more versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoTool {
    pub(crate) name: String,
    pub(crate) module: String,
    /// Package paths within the module; `.` is the module itself.
    pub(crate) commands: Vec<String>,
    pub(crate) versions: Vec<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) cgo: bool,
    /// A directory of the repository whose go.mod and go.sum pin the tool.
    pub(crate) pinned_in: Option<String>,
}

impl Versions {
    /// Reads the file, naming it in every error.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text)
            .with_context(|| format!("{} is not what setup expects", path.display()))
    }
}

impl GoTool {
    /// Import paths of the commands.
    pub(crate) fn packages(&self) -> impl Iterator<Item = String> {
        self.commands.iter().map(|command| match command.as_str() {
            "." => self.module.clone(),
            command => format!("{}/{command}", self.module),
        })
    }

    /// File names of the built commands.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = String> {
        self.packages()
            .map(|package| package.rsplit('/').next().unwrap_or_default().to_owned())
    }
}
