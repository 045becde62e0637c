//! CRI-O: configuration, command line, image import.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Engine, Setup};
use crate::podman::{CONMON, Storage};
use crate::repository::tool_home;

const TEMPLATE: &str = include_str!("crio.toml");

/// Nothing is pulled, so nothing has to be signed.
const POLICY: &str = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;

/// Its own directories below the node's.
const DIRECTORIES: [&str; 7] = [
    "crio",
    "crio/attach",
    "crio/cdi",
    "crio/conf.d",
    "crio/exits",
    "crio/hooks",
    "crio/namespaces",
];

#[derive(Debug)]
pub(super) struct Crio {
    tools: PathBuf,
}

impl Crio {
    pub(super) fn of(version: &str) -> Result<Self> {
        Ok(Self {
            tools: tool_home("crio", version)?,
        })
    }
}

impl Engine for Crio {
    fn name(&self) -> &'static str {
        "crio"
    }

    fn tools(&self) -> &Path {
        &self.tools
    }

    fn configure(&self, setup: &Setup<'_>) -> Result<()> {
        let home = setup.home;
        for directory in DIRECTORIES {
            fs::create_dir_all(home.join(directory)).context("cannot lay out CRI-O's directory")?;
        }
        let text = setup
            .fill(TEMPLATE)
            .replace("@PINNS@", &self.tools.join("pinns").to_string_lossy())
            .replace("@CONMON@", CONMON);
        fs::write(home.join("crio/policy.json"), POLICY).context("cannot write policy.json")?;
        fs::write(home.join("crio.toml"), text).context("cannot write crio.toml")?;
        storage(home).configure()
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(self.tools.join("crio"));
        command
            .arg("--config")
            .arg(home.join("crio.toml"))
            .arg("--config-dir")
            .arg(home.join("crio/conf.d"));
        storage(home).keep_apart(&mut command);
        command
    }

    fn socket(&self, home: &Path) -> PathBuf {
        home.join("crio.sock")
    }

    fn bundles(&self, home: &Path) -> PathBuf {
        storage(home).containers()
    }

    fn bundle(&self, home: &Path, id: &str) -> PathBuf {
        self.bundles(home).join(id).join("userdata")
    }

    fn is_patient(&self) -> bool {
        true
    }

    fn import(&self, home: &Path, archive: &Path, name: &str) -> Result<()> {
        storage(home).import(archive, name)
    }
}

fn storage(home: &Path) -> Storage {
    Storage::below(home)
}
