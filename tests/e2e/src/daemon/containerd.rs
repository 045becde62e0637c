//! containerd: configuration, command line, image import.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Engine, IMPORT_LIMIT, Setup, path_with};
use crate::repository::tool_home;
use crate::subprocess;

const TEMPLATE: &str = include_str!("containerd.toml");
const TEMPLATE_OF_1: &str = include_str!("containerd-1.toml");

#[derive(Debug)]
pub(super) struct Containerd {
    tools: PathBuf,
    template: &'static str,
}

impl Containerd {
    pub(super) fn of(version: &str) -> Result<Self> {
        let old = version.starts_with("1.");
        Ok(Self {
            tools: tool_home(if old { "containerd-1.7" } else { "containerd" }, version)?,
            template: if old { TEMPLATE_OF_1 } else { TEMPLATE },
        })
    }
}

impl Engine for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn tools(&self) -> &Path {
        &self.tools
    }

    fn configure(&self, setup: &Setup<'_>) -> Result<()> {
        fs::write(setup.home.join("config.toml"), setup.fill(self.template))
            .context("cannot write containerd's config.toml")
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(self.tools.join("containerd"));
        command
            .arg("--config")
            .arg(home.join("config.toml"))
            // containerd finds its shim through PATH.
            .env("PATH", path_with(&self.tools));
        command
    }

    fn socket(&self, home: &Path) -> PathBuf {
        home.join("containerd.sock")
    }

    fn bundles(&self, home: &Path) -> PathBuf {
        home.join("state/io.containerd.runtime.v2.task/k8s.io")
    }

    fn bundle(&self, home: &Path, id: &str) -> PathBuf {
        self.bundles(home).join(id)
    }

    fn import(&self, home: &Path, archive: &Path, _name: &str) -> Result<()> {
        let arguments = [
            &format!("--address={}", self.socket(home).display()),
            "--namespace=k8s.io",
            "images",
            "import",
            // Half the time of the transfer service, which gains nothing on one machine.
            "--local",
            &archive.to_string_lossy(),
        ];
        subprocess::text(&self.tools.join("ctr"), &arguments, IMPORT_LIMIT).map(drop)
    }
}
