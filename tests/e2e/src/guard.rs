//! The guard of a node: the OCI runtime wrapper, its configuration beside it, and its records.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::repository;
use crate::scratch::Scratch;

/// Whose annotations tell the guard what a container is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// containerd's CRI plugin.
    Containerd,
    /// CRI-O.
    Crio,
    /// Podman.
    Podman,
}

impl Caller {
    /// The word that the configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
        }
    }
}

/// An installed guard.
#[derive(Debug)]
pub struct Guard {
    directory: PathBuf,
    records: PathBuf,
}

impl Guard {
    /// Copies the guard to `opt/kubefence/bin` and writes its configuration beside it.
    pub fn install(
        scratch: &Scratch,
        launcher: &Path,
        runtime: &Path,
        caller: Caller,
    ) -> Result<Self> {
        let guard = Self {
            directory: scratch.join("opt/kubefence/bin"),
            records: scratch.join("guard"),
        };
        fs::create_dir_all(&guard.directory)
            .with_context(|| format!("cannot create {}", guard.directory.display()))?;
        fs::copy(repository::guard_binary()?, guard.binary()).context("cannot copy the guard")?;
        fs::set_permissions(guard.binary(), Permissions::from_mode(0o755))
            .context("cannot make the guard executable")?;
        guard.write_config(&guard.render(launcher, runtime, caller))?;
        Ok(guard)
    }

    /// What the handler runs in place of the OCI runtime.
    pub fn binary(&self) -> PathBuf {
        self.directory.join("nono-runc")
    }

    /// `nono-runc.toml`, beside the binary.
    pub fn config(&self) -> PathBuf {
        self.directory.join("nono-runc.toml")
    }

    /// The directory of the records; the guard makes it when it first needs it.
    pub fn records(&self) -> &Path {
        &self.records
    }

    /// The files of all records.
    pub fn record_files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.records) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("cannot read the guard's records"),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut files: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
        files.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        Ok(files)
    }

    /// The record of one container.
    pub fn record_of(&self, id: &str) -> Result<PathBuf> {
        let suffix = format!("-{id}.json");
        let files = self.record_files()?;
        files
            .into_iter()
            .find(|path| path.to_string_lossy().ends_with(&suffix))
            .with_context(|| format!("the guard has no record of container {id}"))
    }

    /// Sets one key of the configuration, for everything that is started from now on.
    pub fn set(&self, key: &str, value: impl Into<toml::Value>) -> Result<()> {
        self.edit(|table| {
            table.insert(key.to_owned(), value.into());
        })
    }

    /// Changes the configuration, for everything that is started from now on.
    pub fn edit(&self, change: impl FnOnce(&mut toml::Table)) -> Result<()> {
        let text = self.read_config()?;
        let mut table: toml::Table =
            toml::from_str(&text).context("the guard's configuration is no TOML")?;
        change(&mut table);
        self.write_config(&table.to_string())
    }

    /// Runs `meanwhile` with another configuration, then puts the present one back.
    pub fn with_config<T>(&self, text: &str, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.read_config()?;
        self.write_config(text)?;
        let outcome = meanwhile();
        self.write_config(&before)?;
        outcome
    }

    /// The configuration as it is.
    pub fn read_config(&self) -> Result<String> {
        fs::read_to_string(self.config()).context("cannot read the guard's configuration")
    }

    /// Replaces the whole configuration by rename, so that no guard ever sees half of it.
    pub fn write_config(&self, text: &str) -> Result<()> {
        let new = self.directory.join(".nono-runc.toml.new");
        fs::write(&new, text).context("cannot write the guard's configuration")?;
        fs::rename(&new, self.config()).context("cannot replace the guard's configuration")
    }

    fn render(&self, launcher: &Path, runtime: &Path, caller: Caller) -> String {
        // With Podman, profiles can only be chosen from a list.
        let choice = match caller {
            Caller::Podman => "allowed_profiles = [\"default\", \"strict\", \"claude-code\"]\n",
            Caller::Containerd | Caller::Crio => "",
        };
        format!(
            r#"runtime = "{}"
runtime_root = "/run/runc"
called_by = "{}"
nono_bin_path = "{}"
default_profile = "default"
state_dir = "{}"
{choice}"#,
            runtime.display(),
            caller.as_str(),
            launcher.display(),
            self.records.display(),
        )
    }

    /// Swaps the binary for another one by rename, as an upgrade does.
    pub fn replace_binary(&self, with: &Path) -> Result<()> {
        if !with.is_file() {
            bail!("{} is no program to replace the guard with", with.display());
        }
        let new = self.directory.join(".nono-runc.new");
        fs::copy(with, &new).context("cannot copy the new guard")?;
        fs::set_permissions(&new, Permissions::from_mode(0o755))?;
        fs::rename(&new, self.binary()).context("cannot replace the guard")
    }
}
