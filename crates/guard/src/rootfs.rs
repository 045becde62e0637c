//! Where paths lie in a container's root file system, as the runtime will find them: links are followed, and
//! never out of it.
//!
//! The runtime mounts one after another into the bundle's root file system, and resolves each destination there. What is
//! not there yet it makes, so a missing component stands for itself.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;

/// How many links may lie on the way, as for the kernel.
const MAX_LINKS: usize = 40;

/// How many components may lie on the way, those of links included: a path that the kernel takes has no more.
const MAX_COMPONENTS: usize = 4096;

/// Why a path cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootfsError {
    #[error("cannot open the root file system {path:?}")]
    Open {
        path: String,
        #[source]
        source: Errno,
    },
    #[error("cannot look up {path:?} in the root file system")]
    Look {
        path: String,
        #[source]
        source: Errno,
    },
    #[error("{0:?} leads through too many links in the root file system")]
    Links(String),
}

/// A container's root file system, before anything is mounted in it.
#[derive(Debug)]
pub(crate) struct Rootfs {
    root: OwnedFd,
}

impl Rootfs {
    /// Opens the directory `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, RootfsError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(rustix::fs::CWD, path, flags, Mode::empty())
            .map(|root| Self { root })
            .map_err(|source| RootfsError::Open {
                path: path.to_string_lossy().into_owned(),
                source,
            })
    }

    /// The path to which `path` leads: absolute, normal, and without links as far as it exists.
    ///
    /// At and below the places of `mounted`, which are such paths themselves, nothing is looked up: what will be there
    /// is not there yet.
    pub(crate) fn resolve(&self, path: &str, mounted: &[String]) -> Result<String, RootfsError> {
        let mut waiting: Vec<String> = components(path).map(str::to_owned).rev().collect();
        let mut found = String::new();
        let (mut links, mut passed) = (0, 0);
        while let Some(component) = waiting.pop() {
            passed += 1;
            if passed > MAX_COMPONENTS {
                return Err(RootfsError::Links(path.to_owned()));
            }
            if component == ".." {
                found.truncate(found.rfind('/').unwrap_or(0));
                continue;
            }
            let here = format!("{found}/{component}");
            if mounted.iter().any(|mount| is_at_or_below(&here, mount)) {
                found = here;
                continue;
            }
            let Some(target) = self.link(&here)? else {
                found = here;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(RootfsError::Links(path.to_owned()));
            }
            if target.starts_with('/') {
                found.clear();
            }
            waiting.extend(components(&target).map(str::to_owned).rev());
        }
        Ok(if found.is_empty() {
            "/".to_owned()
        } else {
            found
        })
    }

    /// Where the link at `path` leads; `None` if there is none. No link may be on the way there.
    fn link(&self, path: &str) -> Result<Option<String>, RootfsError> {
        let fail = |source| RootfsError::Look {
            path: path.to_owned(),
            source,
        };
        match readlinkat(&self.root, relative(path), Vec::new()) {
            Ok(target) => target
                .into_string()
                .map(Some)
                .map_err(|_| fail(Errno::ILSEQ)),
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// Whether `path`, which has no link on the way, is a directory or missing.
    pub(crate) fn is_free_for_directory(&self, path: &str) -> Result<bool, RootfsError> {
        match statat(&self.root, relative(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory),
            Err(Errno::NOENT) => Ok(true),
            Err(source) => Err(RootfsError::Look {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Opens the regular file at `path`, which has no link on the way; `None` if there is none.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<OwnedFd>, RootfsError> {
        let fail = |source| RootfsError::Look {
            path: path.to_owned(),
            source,
        };
        // A pipe or a device must not make anybody wait, or do something.
        match statat(&self.root, relative(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile => {}
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&self.root, relative(path), flags, Mode::empty(), inside)
            .map(Some)
            .map_err(fail)
    }
}

/// The normal form of a path's text: absolute, without empty components, `.` and `..`.
pub(crate) fn normal(path: &str) -> String {
    let mut found = String::new();
    for component in components(path) {
        match component {
            ".." => found.truncate(found.rfind('/').unwrap_or(0)),
            name => {
                found.push('/');
                found.push_str(name);
            }
        }
    }
    if found.is_empty() {
        "/".to_owned()
    } else {
        found
    }
}

/// Whether the normal path `path` is `base` or lies below it.
pub(crate) fn is_at_or_below(path: &str, base: &str) -> bool {
    match path.strip_prefix(base) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || base == "/",
        None => false,
    }
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|c| !matches!(*c, "" | "."))
}

fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        path => path,
    }
}

#[cfg(test)]
mod tests;
