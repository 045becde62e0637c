//! The launcher's directory, which containers mount, without what is kubefence's.
//!
//! Anybody may have put something there since. What is kubefence's is told by what it is, not by when it came: all else
//! stays, and is named.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::files;
use crate::manifest::{FileRecord, Foreign};
use crate::root::is_absence;

/// The directories of plans and of the links that lead to them, and the one that they are in.
const DIRECTORIES: [&str; 3] = ["plans", "profiles", ""];
/// The digits of a plan's digest.
const DIGITS: usize = 64;

/// What is kubefence's in the directory, and what was there before.
pub(super) struct Content<'a> {
    files: BTreeSet<PathBuf>,
    before: BTreeMap<&'a Path, &'a Foreign>,
    /// What stood in the place of a file, and is there again.
    restored: BTreeSet<&'a Path>,
}

impl<'a> Content<'a> {
    /// Of the directory `dir`, with the files that were installed there.
    pub(super) fn of(
        dir: &Path,
        installed: &[(&'a PathBuf, &'a FileRecord)],
        before: &'a [Foreign],
    ) -> Self {
        let mut content = Self {
            files: BTreeSet::new(),
            before: before.iter().map(|one| (one.path.as_path(), one)).collect(),
            restored: BTreeSet::new(),
        };
        for (path, record) in installed {
            let below = path.strip_prefix(dir).unwrap_or(path);
            content.files.insert(files::temporary(below));
            match record.before {
                None => content.files.insert(below.to_owned()),
                Some(_) => content.restored.insert(below),
            };
        }
        content
    }

    /// Whether nothing but kubefence's is in the directory `top`, or ever was.
    pub(super) fn is_alone(&self, top: &Path) -> io::Result<bool> {
        if !self.before.is_empty() || !self.restored.is_empty() {
            return Ok(false);
        }
        for dir in DIRECTORIES {
            for below in entries(top, dir)? {
                if !self.is_ours(top, &below) && !is_directory_of_ours(top, &below) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Removes what is kubefence's from the directory `top`, and what is empty then; returns what is left and was not there
    /// before.
    pub(super) fn clear(&self, top: &Path) -> io::Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for dir in DIRECTORIES {
            for below in entries(top, dir)? {
                if let Some(foreign) = self.before.get(below.as_path()) {
                    restore(top, foreign)?;
                } else if self.is_ours(top, &below) {
                    fs::remove_file(top.join(&below))?;
                } else if is_directory_of_ours(top, &below) {
                    remove_if_empty(&top.join(&below))?;
                } else if !self.restored.contains(below.as_path()) {
                    left.push(below);
                }
            }
        }
        remove_if_empty(top)?;
        Ok(left)
    }

    fn is_ours(&self, top: &Path, below: &Path) -> bool {
        let path = top.join(below);
        let kind = fs::symlink_metadata(&path).map(|metadata| metadata.file_type());
        let Ok(kind) = kind else {
            return false;
        };
        self.files.contains(below) && !kind.is_dir() || is_published(top, below)
    }
}

/// Whether something in a launcher's directory is a plan or a link to one, in place or on its way there.
pub(crate) fn is_published(top: &Path, below: &Path) -> bool {
    let path = top.join(below);
    let Some(name) = below.file_name() else {
        return false;
    };
    match below.parent().and_then(Path::to_str) {
        Some("plans") => {
            let kind = fs::symlink_metadata(&path).map(|metadata| metadata.file_type());
            kind.is_ok_and(|kind| kind.is_file()) && (is_plan(name) || is_new_plan(name))
        }
        Some("profiles") => {
            let target = fs::read_link(&path).unwrap_or_default();
            target.parent() == Some(Path::new("../plans"))
                && target.file_name().is_some_and(is_plan)
        }
        _ => false,
    }
}

/// What is in a directory, as paths below `top`. A link to a directory is none.
fn entries(top: &Path, dir: &str) -> io::Result<Vec<PathBuf>> {
    let place = if dir.is_empty() {
        top.to_owned()
    } else {
        top.join(dir)
    };
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut entries = fs::read_dir(place)?
        .map(|entry| Ok(Path::new(dir).join(entry?.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

pub(crate) fn is_directory_of_ours(top: &Path, below: &Path) -> bool {
    let named = below == Path::new("plans") || below == Path::new("profiles");
    named && fs::symlink_metadata(top.join(below)).is_ok_and(|metadata| metadata.is_dir())
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_plan(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
    name.is_some_and(is_digest)
}

/// A plan that was being written: a dot, its digest and the number of a process.
fn is_new_plan(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix('.'));
    let parts = name.and_then(|name| name.split_once('.'));
    parts.is_some_and(|(digest, process)| is_digest(digest) && process.parse::<u32>().is_ok())
}

/// Has a link lead where it led.
fn restore(top: &Path, foreign: &Foreign) -> io::Result<()> {
    let path = top.join(&foreign.path);
    match (&foreign.target, fs::read_link(&path)) {
        (Some(target), Ok(found)) if *target != found => {
            fs::remove_file(&path)?;
            symlink(target, &path)
        }
        _ => Ok(()),
    }
}

fn remove_if_empty(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        // What is not ours is in it, or it is a mount of its own.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy
            ) =>
        {
            Ok(())
        }
        Err(error) if is_absence(&error) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests;
