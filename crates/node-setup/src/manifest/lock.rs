//! One installation at a time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::files::{self, FileError};
use crate::root::Root;

const NAME: &str = "lock";
const PAUSE: Duration = Duration::from_millis(100);

/// Why the lock cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Its directory cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be opened.
    #[error("cannot lock {path}")]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "{path} is locked: another `kubefence node install` or `uninstall` is at work on this node; wait until it has ended"
    )]
    Held {
        /// The lock file.
        path: PathBuf,
    },
}

/// The lock of a node; it ends with the value, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// Directories that were made for it.
    pub made: Vec<PathBuf>,
}

impl Lock {
    /// Takes the lock in the directory `dir`, and waits for it if need be.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be had within `patience`.
    pub fn take(root: &Root, dir: &Path, patience: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + patience;
        let mut made = files::make_directory(root, dir, 0o700)?;
        let path = dir.join(NAME);
        loop {
            let fail = |source| LockError::Open {
                path: path.clone(),
                source,
            };
            made.extend(files::make_directory(root, dir, 0o700)?);
            let place = root.outside(&root.place(&path).map_err(fail)?);
            let options = &mut OpenOptions::new();
            let options = options.create(true).truncate(false).write(true).mode(0o600);
            let file = options.open(&place).map_err(fail)?;
            match file.try_lock() {
                // It may have been removed with an installation before it was locked.
                Ok(()) if is_at(&file, &place) => return Ok(Self { _file: file, made }),
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(source)) => return Err(fail(source)),
            }
            if Instant::now() >= deadline {
                return Err(LockError::Held { path });
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Removes the lock file. Whoever waits for it takes a new one.
pub(super) fn remove(root: &Root, dir: &Path) -> Result<(), FileError> {
    files::remove(root, &dir.join(NAME))
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |m: fs::Metadata| (m.dev(), m.ino());
    let here = file.metadata().map(identity).ok();
    here.is_some() && here == fs::metadata(path).map(identity).ok()
}
