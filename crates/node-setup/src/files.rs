//! Files of the node: replaced and removed so that what reads them sees the old or the new one, never half of one.
//!
//! What stood in a file's place keeps its mode, owner and extended attributes. Names that are needed meanwhile can be
//! told from the file's own, so that what an interrupted run left is found again.

mod attributes;
pub(crate) mod selinux;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

pub use self::attributes::Attributes;
use crate::root::{Root, is_absence};

/// Why a file of the node cannot be changed. The old one is still in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {path}{}", advice(.source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be removed.
    #[error("cannot remove {path}{}", advice(.source))]
    Remove {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The way out, where the kind of error tells it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            ": mount it writable, or choose other places with --nono-dir, --bin-dir, --state-dir and --runtime-config"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room on its file system",
        ErrorKind::ResourceBusy => {
            ": it is a mount of its own, which no file can take the place of"
        }
        ErrorKind::CrossesDevices => {
            ": its directory is a mount of its own, where no file can be put in place at once; mount the directory above it"
        }
        _ => "",
    }
}

/// A file as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Everything else.
    pub attributes: Attributes,
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file at a path, through links; `None` if there is none.
///
/// # Errors
///
/// Fails if it cannot be read.
pub fn find(root: &Root, path: &Path) -> Result<Option<Found>, FileError> {
    let read = || -> io::Result<Option<Found>> {
        let Some(place) = root.locate(path)? else {
            return Ok(None);
        };
        let outside = root.outside(&place);
        let attributes = Attributes::of(&outside)?;
        Ok(Some(Found {
            bytes: fs::read(&outside)?,
            attributes,
        }))
    };
    read().map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Puts a file in place, with the attributes given. A link at `path` stays, and what it leads to is replaced.
///
/// # Errors
///
/// Fails if the file cannot be written; then the old one is untouched.
pub fn put(
    root: &Root,
    path: &Path,
    bytes: &[u8],
    attributes: &Attributes,
) -> Result<(), FileError> {
    let write = || {
        let place = root.outside(&root.place(path)?);
        let temporary = temporary(&place);
        check_same_device(&temporary, &place)?;
        fill(&temporary, bytes, attributes)
            .and_then(|()| fs::rename(&temporary, &place))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        sync_above(&place)
    };
    write().map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Removes a file and what an interrupted [`put`] may have left beside it. Nothing there is fine.
///
/// # Errors
///
/// Fails if it cannot be removed.
pub fn remove(root: &Root, path: &Path) -> Result<(), FileError> {
    let remove = || {
        let place = root.outside(&root.place(path)?);
        for path in [&temporary(&place), &place] {
            match fs::remove_file(path) {
                Err(error) if !is_absence(&error) => return Err(error),
                _ => {}
            }
        }
        sync_above(&place)
    };
    remove().map_err(|source| FileError::Remove {
        path: path.to_owned(),
        source,
    })
}

/// Removes what an interrupted [`put`] may have left beside a file.
///
/// # Errors
///
/// Fails if it cannot be removed.
pub fn clean(root: &Root, path: &Path) -> Result<(), FileError> {
    let fail = |source| FileError::Remove {
        path: path.to_owned(),
        source,
    };
    let place = root.outside(&root.place(path).map_err(fail)?);
    match fs::remove_file(temporary(&place)) {
        Err(error) if !is_absence(&error) => Err(fail(error)),
        _ => Ok(()),
    }
}

/// Makes a directory and those above it; returns which were missing, the outermost first.
///
/// # Errors
///
/// Fails if one cannot be made.
pub fn make_directory(root: &Root, path: &Path, mode: u32) -> Result<Vec<PathBuf>, FileError> {
    let missing = missing_directories(root, path)?;
    for directory in &missing {
        let make = || {
            let outside = root.outside(directory);
            let mode = if directory == missing.last().unwrap_or(directory) {
                mode
            } else {
                0o755
            };
            fs::DirBuilder::new().mode(mode).create(&outside)?;
            // Whatever the umask is.
            fs::set_permissions(&outside, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            sync_above(&outside)
        };
        make().map_err(|source| FileError::Write {
            path: directory.clone(),
            source,
        })?;
    }
    Ok(missing)
}

/// The directories that are missing on the way to `path`, itself included; the outermost first.
///
/// # Errors
///
/// Fails if the way cannot be followed.
pub fn missing_directories(root: &Root, path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let fail = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let place = root.place(path).map_err(fail)?;
    let mut missing: Vec<PathBuf> = place
        .ancestors()
        .take_while(|above| !root.outside(above).exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    Ok(missing)
}

/// Removes a directory if it is empty; whether it is gone.
///
/// # Errors
///
/// Fails if it cannot be removed for another reason than what it holds.
pub fn remove_empty_directory(root: &Root, path: &Path) -> Result<bool, FileError> {
    let remove = || {
        let Some(place) = root.locate(path)? else {
            return Ok(true);
        };
        match fs::remove_dir(root.outside(&place)) {
            Ok(()) => Ok(true),
            // A mount point is somebody's, too.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(false),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    };
    remove().map_err(|source| FileError::Remove {
        path: path.to_owned(),
        source,
    })
}

/// The name under which a file is written before it takes its place. In a directory of drop-ins, a reader may take every file
/// for one, as CRI-O does, so it is made beside such a directory.
pub(crate) fn temporary(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    match place.parent().filter(|above| takes_drop_ins(above)) {
        Some(above) => {
            let directory = above.file_name().unwrap_or_default().to_string_lossy();
            above.with_file_name(format!(".{directory}.{name}.kubefence-new"))
        }
        None => place.with_file_name(format!(".{name}.kubefence-new")),
    }
}

fn takes_drop_ins(dir: &Path) -> bool {
    dir.extension().is_some_and(|extension| extension == "d")
}

/// Files cannot take the place of others on another file system.
fn check_same_device(temporary: &Path, place: &Path) -> io::Result<()> {
    let device = |path: &Path| {
        let above = path.parent().unwrap_or(Path::new("/"));
        fs::metadata(above).map(|metadata| metadata.dev())
    };
    match device(temporary)? == device(place)? {
        true => Ok(()),
        false => Err(ErrorKind::CrossesDevices.into()),
    }
}

fn fill(temporary: &Path, bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if !is_absence(&error) => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(bytes)?;
    attributes.apply(&file)?;
    file.sync_all()
}

/// Makes what happened in a file's directory last.
fn sync_above(place: &Path) -> io::Result<()> {
    let above = place.parent().unwrap_or(Path::new("/"));
    match File::open(above) {
        Ok(directory) => directory.sync_all(),
        // It went with what was in it.
        Err(error) if is_absence(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
