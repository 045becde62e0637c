//! One record per container of the guard's handlers: what it was created with, and so what an exec gets.
//!
//! `<dir>/<hash of the runtime's root>-<container ID>.json`, for root alone. An exec trusts what it finds
//! here, so a directory that anybody else could have written to is refused, as is a record that is not the
//! one of that container.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use kubefence_launch_plan::{PlanDigest, ProfileName};
use serde::{Deserialize, Serialize};

/// Where records are unless a configuration says otherwise.
pub const DEFAULT_DIR: &str = "/run/kubefence/guard";

/// The format of records that are written.
pub const FORMAT: u32 = 1;

/// Longest record, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// The file whose time tells when records were swept last.
const SWEPT: &str = ".swept";

/// How the name of a record ends.
const SUFFIX: &str = ".json";

/// What the guard knows of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The root directory of the OCI runtime that has the container.
    pub root: PathBuf,
    /// The container's ID there.
    pub id: String,
    /// The bundle it was created from.
    pub bundle: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A pod's sandbox, whose program is the node's own.
    Sandbox,
    /// A container that runs under a profile.
    Container(Confinement),
}

/// How the processes of a container are confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// The profile.
    pub profile: ProfileName,
    /// Its plan when the container was created; `None` where the launcher finds profiles by itself.
    pub plan: Option<PlanDigest>,
    /// What the variables of the plan mean for all processes of the container: names and values.
    pub variables: Vec<(String, String)>,
}

/// Why a record cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The directory or the file cannot be used.
    #[error("cannot use the guard's record {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than root could have written it.
    #[error(
        "the guard's records in {0} can be written by others than root: make it root's, mode 0700"
    )]
    Untrusted(PathBuf),
    /// It is longer than what is read.
    #[error(
        "the guard's record {path} would have {size} bytes, more than {MAX_SIZE}: give the container fewer mounts, or shorter variables"
    )]
    TooBig {
        /// Which.
        path: PathBuf,
        /// Its size.
        size: usize,
    },
    /// It is damaged, or of another version.
    #[error("the guard's record {path} cannot be read: {reason}; delete the pod")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The directory of all records.
#[derive(Clone, Debug)]
pub struct Records {
    dir: PathBuf,
}

impl Records {
    /// Records in `dir`, which is created when the first is written.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes a record, atomically.
    pub fn write(&self, record: &Record) -> Result<(), RecordError> {
        let path = self.path(&record.root, &record.id);
        let text = serde_json::to_vec(record).map_err(|error| RecordError::Io {
            path: path.clone(),
            source: error.into(),
        })?;
        if text.len() as u64 >= MAX_SIZE {
            let size = text.len();
            return Err(RecordError::TooBig { path, size });
        }
        self.make_dir()?;
        let temporary = path.with_extension(format!("{}.tmp", process::id()));
        write_file(&temporary, &text)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| {
                let _ = fs::remove_file(&temporary);
                RecordError::Io { path, source }
            })
    }

    /// The record of a container; `None` if there is none.
    pub fn read(&self, root: &Path, id: &str) -> Result<Option<Record>, RecordError> {
        let path = self.path(root, id);
        let Some(record) = self.load(&path)? else {
            return Ok(None);
        };
        if record.root == root && record.id == id {
            return Ok(Some(record));
        }
        let reason = format!("it is that of {:?} in {}", record.id, record.root.display());
        Err(RecordError::Damaged { path, reason })
    }

    /// The record of the container `id`, whatever runtime has it; `None` if there is none.
    pub fn find(&self, id: &str) -> Result<Option<Record>, RecordError> {
        let suffix = format!("-{id}{SUFFIX}");
        for path in self.paths()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.ends_with(&suffix) {
                continue;
            }
            match self.load(&path)? {
                Some(record) if record.id == id => return Ok(Some(record)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Removes the record of a container, if there is one.
    pub fn remove(&self, root: &Path, id: &str) -> Result<(), RecordError> {
        remove(self.path(root, id))
    }

    /// Removes the records of containers that their runtimes do not have any more, and what interrupted writes left.
    ///
    /// A container without a directory in its runtime's root is gone, or not there yet: records that are
    /// younger than `grace` seconds at the time `now` (seconds since 1970) stay.
    ///
    /// Does nothing if it was done less than `grace` seconds ago: it reads all records.
    pub fn sweep(&self, now: i64, grace: i64) -> Result<(), RecordError> {
        let swept = self.dir.join(SWEPT);
        if fs::metadata(&swept).is_ok_and(|last| last.mtime() > now - grace) || !self.dir.exists() {
            return Ok(());
        }
        fs::write(&swept, "").map_err(|source| RecordError::Io {
            path: swept,
            source,
        })?;
        for path in self.paths()? {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.mtime() > now - grace {
                continue;
            }
            let is_gone = match self.load(&path) {
                // A root that is not there says nothing about what it held.
                Ok(Some(record)) => record.root.exists() && !record.root.join(&record.id).exists(),
                Ok(None) => false,
                Err(_) => !path.to_string_lossy().ends_with(SUFFIX),
            };
            if is_gone {
                remove(path)?;
            }
        }
        Ok(())
    }

    /// How many records there are.
    pub fn count(&self) -> Result<usize, RecordError> {
        Ok(self.paths()?.len())
    }

    fn path(&self, root: &Path, id: &str) -> PathBuf {
        let hash = PlanDigest::of(root.as_os_str().as_encoded_bytes()).to_string();
        self.dir.join(format!("{}-{id}{SUFFIX}", &hash[..16]))
    }

    fn load(&self, path: &Path) -> Result<Option<Record>, RecordError> {
        let io = |source| RecordError::Io {
            path: path.to_owned(),
            source,
        };
        if !self.dir.exists() {
            return Ok(None);
        }
        // It holds nothing then that root has not put there.
        self.check_dir()?;
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result.map_err(io)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_SIZE).read_to_end(&mut bytes).map_err(io)?;
        let damaged = |reason| RecordError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if record.format != FORMAT {
            return Err(damaged(format!("its format is {}", record.format)));
        }
        Ok(Some(record))
    }

    fn paths(&self) -> Result<Vec<PathBuf>, RecordError> {
        let io = |source| RecordError::Io {
            path: self.dir.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(io)?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(io));
        paths
            .filter(|path| !matches!(path, Ok(path) if path.ends_with(SWEPT)))
            .collect()
    }

    fn make_dir(&self) -> Result<(), RecordError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|source| RecordError::Io {
                path: self.dir.clone(),
                source,
            })?;
        self.check_dir()
    }

    fn check_dir(&self) -> Result<(), RecordError> {
        let metadata = fs::symlink_metadata(&self.dir).map_err(|source| RecordError::Io {
            path: self.dir.clone(),
            source,
        })?;
        let is_own = metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o077 == 0;
        if is_own {
            return Ok(());
        }
        Err(RecordError::Untrusted(self.dir.clone()))
    }
}

fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)
}

fn remove(path: PathBuf) -> Result<(), RecordError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(RecordError::Io { path, source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
