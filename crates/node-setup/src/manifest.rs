//! What was installed on the node, and what was there before: the way back.
//!
//! The manifest is written before the first file is changed and again after the last one, so that an installation
//! that was interrupted anywhere can be repeated or undone. The content of what was there lies beside it in `backups/`,
//! each file under its own digest.

mod handlers;
mod lock;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Attributes, FileError, Found, digest};
use crate::restart::Restart;
use crate::root::Root;
use crate::runtime::{Kind, OwnedKey, Version};

pub use self::lock::{Lock, LockError};

const NAME: &str = "manifest.json";
const BACKUPS: &str = "backups";
/// The version of the manifest's own format.
const FORMAT: u32 = 1;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is damaged.
    #[error("{path} is damaged: {message}: restore it, or move {} away and undo by hand what it lists", .path.parent().unwrap_or(.path).display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        message: String,
    },
    /// It was written by a later version.
    #[error(
        "{path} has format {format}, this program knows up to {FORMAT}: use the version of kubefence that installed the node"
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The backup of a file is missing or not what it was.
    #[error(
        "the backup of {path} in {backup} is missing or damaged: restore {path} by hand, then run this again"
    )]
    Backup {
        /// The file.
        path: PathBuf,
        /// The backup.
        backup: PathBuf,
    },
}

/// How far an installation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It was begun.
    #[default]
    Installing,
    /// It is complete.
    Installed,
    /// Undoing it was begun.
    Uninstalling,
}

/// Everything that is known of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub(crate) format: u32,
    /// The version of kubefence that wrote it.
    pub version: String,
    /// How far it is.
    pub phase: Phase,
    /// The runtime runs with another configuration than the one in its files.
    pub restart_pending: bool,
    /// The runtime did not know the handlers when its configuration changed: if it does, it was restarted.
    #[serde(default)]
    pub handlers_show_restart: bool,
    /// What identifies the configuration with which the runtime did not come back, if that was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The handlers of the guard.
    pub handlers: Vec<String>,
    /// Handlers that it had: pods of theirs may still exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_handlers: Vec<String>,
    /// The directory that containers mount.
    pub nono_dir: PathBuf,
    /// The directory of the guard.
    pub bin_dir: PathBuf,
    /// The container runtime.
    pub runtime: RuntimeRecord,
    /// How it is restarted.
    pub restart: Restart,
    /// Files, by path.
    pub files: BTreeMap<PathBuf, FileRecord>,
    /// Directories that were missing, in the order in which they were made.
    pub directories: Vec<PathBuf>,
    /// What was in the launcher's directory before.
    pub foreign: Vec<Foreign>,
}

/// The container runtime of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeRecord {
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Its CRI socket.
    pub socket: PathBuf,
    /// systemd units that may run it.
    pub units: Vec<String>,
    /// What validates its configuration.
    pub validate: Vec<String>,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A program.
    Program,
    /// The guard's configuration.
    GuardConfig,
    /// A configuration file of the runtime that is kubefence's own.
    OwnConfig,
    /// A configuration file of the runtime with keys of kubefence.
    EditedConfig,
}

impl Purpose {
    /// Whether the runtime reads it when it starts.
    pub fn is_runtime_config(self) -> bool {
        matches!(self, Self::OwnConfig | Self::EditedConfig)
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// What it is for.
    pub purpose: Purpose,
    /// What stood in its place.
    pub before: Option<Before>,
    /// The digest of what was installed.
    pub after: String,
    /// The digest of what was installed until then, while a newer one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded: Option<String>,
    /// What is kubefence's in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<OwnedKey>,
}

/// A file before it was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its digest, and the name of its backup.
    pub sha256: String,
    /// Its mode, owner and so on.
    pub attributes: Attributes,
}

/// Something in the launcher's directory that was there before kubefence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// The path below the directory.
    pub path: PathBuf,
    /// Where it leads, if it is a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
}

/// What became of a file since it was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is as it was installed.
    Intact,
    /// It is as it was before the installation, or gone like it was then.
    Restored,
    /// It is gone, and something was there before.
    Missing,
    /// Somebody has changed it.
    Changed,
}

impl FileRecord {
    /// What became of the file, which now is `found`.
    pub fn fate(&self, found: Option<&Found>) -> Fate {
        let Some(found) = found else {
            return match self.before {
                None => Fate::Restored,
                Some(_) => Fate::Missing,
            };
        };
        let now = digest(&found.bytes);
        if now == self.after || self.superseded.as_ref() == Some(&now) {
            Fate::Intact
        } else if self
            .before
            .as_ref()
            .is_some_and(|before| before.sha256 == now)
        {
            Fate::Restored
        } else {
            Fate::Changed
        }
    }
}

/// A manifest's place on the node.
#[derive(Debug)]
pub struct Store<'a> {
    root: &'a Root,
    dir: &'a Path,
}

impl<'a> Store<'a> {
    /// The one in the directory `dir` of the node.
    pub fn new(root: &'a Root, dir: &'a Path) -> Self {
        Self { root, dir }
    }

    /// The manifest; `None` if nothing is installed.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub fn load(&self) -> Result<Option<Manifest>, ManifestError> {
        let path = self.dir.join(NAME);
        let Some(found) = files::find(self.root, &path)? else {
            return Ok(None);
        };
        #[derive(Deserialize)]
        struct Header {
            format: u32,
        }
        let damaged = |error: serde_json::Error| ManifestError::Damaged {
            path: path.clone(),
            message: error.to_string(),
        };
        let header: Header = serde_json::from_slice(&found.bytes).map_err(damaged)?;
        if header.format > FORMAT {
            let format = header.format;
            return Err(ManifestError::Later { path, format });
        }
        serde_json::from_slice(&found.bytes)
            .map(Some)
            .map_err(damaged)
    }

    /// Writes the manifest.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written; then the old one is still there.
    pub fn save(&self, manifest: &Manifest) -> Result<(), ManifestError> {
        let path = self.dir.join(NAME);
        let mut text =
            serde_json::to_vec_pretty(manifest).map_err(|error| ManifestError::Damaged {
                path: path.clone(),
                message: error.to_string(),
            })?;
        text.push(b'\n');
        Ok(files::put(
            self.root,
            &path,
            &text,
            &Attributes::new(0o600),
        )?)
    }

    /// Keeps what a file holds.
    ///
    /// # Errors
    ///
    /// Fails if the backup cannot be written.
    pub fn back_up(&self, bytes: &[u8]) -> Result<String, ManifestError> {
        let name = digest(bytes);
        let path = self.backup(&name);
        files::make_directory(self.root, &self.dir.join(BACKUPS), 0o700)?;
        let kept = files::find(self.root, &path)?;
        if kept.is_none_or(|kept| digest(&kept.bytes) != name) {
            files::put(self.root, &path, bytes, &Attributes::new(0o600))?;
        }
        Ok(name)
    }

    /// What the file at `path` held.
    ///
    /// # Errors
    ///
    /// Fails if the backup is gone or damaged.
    pub fn backup_of(&self, path: &Path, before: &Before) -> Result<Vec<u8>, ManifestError> {
        let backup = self.backup(&before.sha256);
        match files::find(self.root, &backup)? {
            Some(found) if digest(&found.bytes) == before.sha256 => Ok(found.bytes),
            _ => Err(ManifestError::Backup {
                path: path.to_owned(),
                backup,
            }),
        }
    }

    /// Removes the backups that the manifest does not name; all of them without one.
    ///
    /// # Errors
    ///
    /// Fails if one cannot be removed.
    pub fn prune(&self, manifest: Option<&Manifest>) -> Result<(), ManifestError> {
        let records = manifest.into_iter().flat_map(|m| m.files.values());
        let kept: BTreeSet<&str> = records
            .filter_map(|record| Some(record.before.as_ref()?.sha256.as_str()))
            .collect();
        for name in self.backups()? {
            if !name.to_str().is_some_and(|name| kept.contains(name)) {
                files::remove(self.root, &self.backup(&name.to_string_lossy()))?;
            }
        }
        Ok(())
    }

    /// Removes the manifest and all backups, and the directory if nothing else is in it.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be removed.
    pub fn clear(&self) -> Result<(), ManifestError> {
        self.prune(None)?;
        files::remove_empty_directory(self.root, &self.dir.join(BACKUPS))?;
        files::remove(self.root, &self.dir.join(NAME))?;
        lock::remove(self.root, self.dir)?;
        files::remove_empty_directory(self.root, self.dir)?;
        Ok(())
    }

    /// The names of what is in the directory of backups.
    fn backups(&self) -> Result<Vec<OsString>, FileError> {
        let path = self.dir.join(BACKUPS);
        let list = || match self.root.locate(&path)? {
            Some(place) => fs::read_dir(self.root.outside(&place))?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect(),
            None => Ok(Vec::new()),
        };
        list().map_err(|source| FileError::Read {
            path: path.clone(),
            source,
        })
    }

    fn backup(&self, name: &str) -> PathBuf {
        self.dir.join(BACKUPS).join(name)
    }
}

impl Manifest {
    /// One of an installation that has changed nothing yet.
    pub fn begin(runtime: RuntimeRecord, restart: Restart) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: Phase::Installing,
            restart_pending: false,
            handlers_show_restart: false,
            rejected: None,
            handlers: Vec::new(),
            former_handlers: Vec::new(),
            nono_dir: PathBuf::new(),
            bin_dir: PathBuf::new(),
            runtime,
            restart,
            files: BTreeMap::new(),
            directories: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
