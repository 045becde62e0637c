//! The scratch directory of one node, with a path short enough for unix sockets.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// `sun_path` holds 108 bytes; containerd appends `.ttrpc` to its socket, and our names are at most 16 long.
const LONGEST: usize = 108 - 24;

/// A directory under `$TMPDIR` that is removed by [`crate::cleanup`].
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates an empty directory.
    pub fn create() -> Result<Self> {
        let directory =
            TempDir::with_prefix("kf-").context("cannot create a scratch directory in $TMPDIR")?;
        let path = directory.keep();
        if path.as_os_str().len() > LONGEST {
            bail!(
                "{} is too long for unix sockets: set TMPDIR to a shorter path",
                path.display()
            );
        }
        Ok(Self { path })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A name that is unique to this directory, fit for cgroups.
    pub fn label(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}
