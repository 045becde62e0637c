//! The node's file system, wherever it is mounted.
//!
//! Paths are the node's own. Links, absolute ones too, are followed as the node follows them: none leads out of the
//! directory below which the node's file system lies, so none leads into the files of the container that this runs in.
//!
//! The node itself is trusted: between looking at a path and using it nobody is expected to replace what lies on the way.

mod run;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Output;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::host::Host;

pub use self::run::{Entrance, enter};

/// Where programs are looked for on the node.
const PROGRAMS: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/bin",
    "/run/current-system/sw/bin",
];

/// Why a directory cannot serve as a node's root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// It cannot be opened.
    #[error(
        "cannot open {dir}: --root names the directory where the node's file system is mounted"
    )]
    Open {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The file system of a node, below a directory.
#[derive(Debug)]
pub struct Root {
    /// Without links.
    dir: PathBuf,
    fd: OwnedFd,
    entrance: Entrance,
}

impl Root {
    /// Opens the directory; `entrance` tells how programs of the node are run.
    ///
    /// # Errors
    ///
    /// Fails if there is no such directory.
    pub fn open(dir: &Path, entrance: Entrance) -> Result<Self, RootError> {
        let fail = |source| RootError::Open {
            dir: dir.to_owned(),
            source,
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(dir, flags, Mode::empty()).map_err(|error| fail(error.into()))?;
        Ok(Self {
            dir: path_of(fd.as_fd()).map_err(fail)?,
            fd,
            entrance,
        })
    }

    /// Whether the node's file system is this process's own.
    pub fn is_own(&self) -> bool {
        self.dir == Path::new("/")
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How this process reaches a path that has no links in it.
    pub fn outside(&self, path: &Path) -> PathBuf {
        let normal = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let mut outside = self.dir.clone();
        outside.extend(normal);
        outside
    }

    /// Where a path leads, if there is something.
    ///
    /// # Errors
    ///
    /// Fails if the way there cannot be followed.
    pub fn locate(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened =
            rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        match opened.map_err(io::Error::from) {
            Ok(fd) => self.inside(&path_of(fd.as_fd())?).map(Some),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a path leads, also if nothing is there yet: then the deepest directory above it that exists decides.
    ///
    /// # Errors
    ///
    /// Fails if the way there cannot be followed, or ends at a link that leads nowhere.
    pub fn place(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some(found) = self.locate(path)? {
            return Ok(found);
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let place = self.place(above)?.join(name);
        match fs::symlink_metadata(self.outside(&place)) {
            Ok(_) => Err(io::Error::new(
                ErrorKind::NotFound,
                format!("{} is a link that leads nowhere", place.display()),
            )),
            Err(error) if is_absence(&error) => Ok(place),
            Err(error) => Err(error),
        }
    }

    /// The node's own name for a path of this process.
    fn inside(&self, outside: &Path) -> io::Result<PathBuf> {
        let inside = outside.strip_prefix(&self.dir).map_err(|_| {
            let message = format!("{} is not below {}", outside.display(), self.dir.display());
            io::Error::other(message)
        })?;
        Ok(Path::new("/").join(inside))
    }
}

impl Host for Root {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.locate(path)? {
            Some(found) => fs::read(self.outside(&found)).map(Some),
            None => Ok(None),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let Some(found) = self.locate(dir)? else {
            return Ok(Vec::new());
        };
        let entries = fs::read_dir(self.outside(&found))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| dir.join(entry.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.locate(path)
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        let candidates: Vec<PathBuf> = match name.starts_with('/') {
            true => vec![PathBuf::from(name)],
            false => PROGRAMS
                .iter()
                .map(|dir| Path::new(dir).join(name))
                .collect(),
        };
        candidates.into_iter().find(|path| {
            let found = self.locate(path).ok().flatten();
            let metadata = found.and_then(|found| fs::metadata(self.outside(&found)).ok());
            metadata.is_some_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
    }

    fn run(&self, program: &Path, args: &[&str]) -> io::Result<Output> {
        let limit = run::LIMIT;
        self.entrance.run(self, program, args, limit)
    }
}

impl Root {
    /// What a program of the node answers, which may take longer than usual.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started, or does not end in time.
    pub fn run_within(
        &self,
        program: &Path,
        args: &[&str],
        limit: std::time::Duration,
    ) -> io::Result<Output> {
        self.entrance.run(self, program, args, limit)
    }
}

/// Whether an error says that there is nothing at a path.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The path of what is open.
fn path_of(fd: BorrowedFd<'_>) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

#[cfg(test)]
mod tests;
