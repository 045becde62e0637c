//! What a node installation would leave on the host: the sandbox binary and its data directories.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::repository;
use crate::scratch::Scratch;

/// The directory that containers see as /nono.
#[derive(Debug)]
pub struct Install {
    directory: PathBuf,
}

impl Install {
    /// Lays out `opt/nono-nri` in the scratch directory, traversable by every user as its containers need it.
    pub fn create(scratch: &Scratch) -> Result<Self> {
        open_to_all(scratch.path())?;
        let directory = scratch.join("opt/nono-nri");
        for path in [
            "opt",
            "opt/nono-nri",
            "opt/nono-nri/profiles",
            "opt/nono-nri/plans",
        ] {
            let path = scratch.join(path);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            open_to_all(&path)?;
        }
        let install = Self { directory };
        fs::copy(repository::launcher_binary()?, install.launcher()).context("cannot copy nono")?;
        open_to_all(&install.launcher())?;
        Ok(install)
    }

    /// The host directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The sandbox binary.
    pub fn launcher(&self) -> PathBuf {
        self.directory.join("nono")
    }
}

fn open_to_all(path: &Path) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot change the mode of {}", path.display()))
}
