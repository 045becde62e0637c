//! Making what a program keeps below the home, before the sandbox closes: `~/.claude`, for one.
//!
//! Invariants:
//! - No link is followed, neither to the directory that the container named nor below it, and nothing that exists is touched.
//! - Whatever stands in the way, nothing more is made, and the rule earns nothing.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::Create;

use crate::errno::Errno;
use crate::place_source::Anchored;
use crate::sys::{self, At};

/// A place that does not exist, as the way to it from the nearest directory that does.
pub(crate) struct Missing {
    /// The nearest directory.
    pub(crate) nearest: OwnedFd,
    /// What is to be made, one in the other.
    names: Vec<CString>,
}

impl Missing {
    /// Looks how far the way to `place` exists. `None` if there is something already, if the directory that
    /// it starts in does not exist, or if there is a link or no directory on the way.
    pub(crate) fn find(place: &Anchored) -> Option<Self> {
        let mut nearest = open_directory(At::Cwd, &sys::c_string(place.base)).ok()?;
        let mut names = place.below.split('/').map(sys::c_string).peekable();
        while let Some(name) = names.peek() {
            match open_directory(At::Dir(&nearest), name) {
                Ok(dir) => nearest = dir,
                Err(Errno(libc::ENOENT)) => {
                    let names = names.collect();
                    return Some(Self { nearest, names });
                }
                Err(_) => break,
            }
            names.next();
        }
        None
    }

    /// Makes the place. Directories and files are the container's user's alone.
    pub(crate) fn make(self, kind: Create) -> Result<(), Errno> {
        let mut dir = self.nearest;
        let Some((last, above)) = self.names.split_last() else {
            return Ok(());
        };
        for name in above {
            make_directory(&dir, name)?;
            dir = open_directory(At::Dir(&dir), name)?;
        }
        match kind {
            Create::Directory => make_directory(&dir, last),
            Create::File => sys::make_file(&dir, last, 0o600),
        }
    }
}

/// Opens a directory to which no link leads.
fn open_directory(at: At, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    sys::open(at, name, flags, libc::RESOLVE_NO_SYMLINKS)
}

/// Makes a directory, unless somebody else was faster.
fn make_directory(dir: &OwnedFd, name: &CString) -> Result<(), Errno> {
    match sys::make_directory(dir, name, 0o700) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        result => result,
    }
}
