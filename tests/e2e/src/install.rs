//! What a node installation would leave on the host: the sandbox binary and its data directories.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::repository;
use crate::scratch::Scratch;
use crate::subprocess;

const PUBLISH_LIMIT: Duration = Duration::from_secs(30);

/// The directory that containers see as /nono.
#[derive(Debug)]
pub struct Install {
    directory: PathBuf,
}

impl Install {
    /// Lays out `opt/nono-nri` in the scratch directory, traversable by every user as containers need it.
    pub fn create(scratch: &Scratch) -> Result<Self> {
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

    /// Publishes the plans of all profiles, as a node without the plugin has it done.
    pub fn publish(&self) -> Result<()> {
        let directory = self.directory.to_string_lossy();
        let arguments = ["profile", "publish", "--dir", &directory];
        subprocess::text(&repository::command_binary()?, &arguments, PUBLISH_LIMIT)
            .context("cannot publish the plans")
            .map(drop)
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

/// Makes a directory traversable, or a program executable, for every user.
pub(crate) fn open_to_all(path: &Path) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot change the mode of {}", path.display()))
}
