//! Making what a program keeps below the home, before the sandbox closes: `~/.claude`, for one.
//!
//! Invariants:
//! - No link is followed below the directory that the container named, and nothing that exists is touched.
//! - Whatever stands in the way, nothing more is made, and the rule earns nothing.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::Create;

use crate::errno::Errno;
use crate::place_source::Anchored;
use crate::procfs::{ProcFs, ProcFsError};
use crate::sys::{self, At};

/// A place that does not exist, as the way to it from the nearest directory that does.
pub(crate) struct Missing {
    /// The kernel's path of the directory that the container named.
    pub(crate) base: Vec<u8>,
    /// The kernel's path of the place, once it is made.
    pub(crate) path: Vec<u8>,
    /// The nearest directory.
    pub(crate) nearest: OwnedFd,
    /// What is to be made, one in the other.
    names: Vec<CString>,
}

impl Missing {
    /// Looks how far the way to `place` exists. `None` if there is something already, if the directory that
    /// it starts in does not exist, or if there is a link or no directory on the way.
    pub(crate) fn find(proc: &ProcFs, place: &Anchored) -> Result<Option<Self>, ProcFsError> {
        let directory = libc::O_PATH | libc::O_DIRECTORY;
        let base = sys::c_string(place.base);
        let Ok(mut nearest) = sys::open(At::Cwd, &base, directory, libc::RESOLVE_NO_MAGICLINKS)
        else {
            return Ok(None);
        };
        let base = proc.path_of(&nearest)?;
        let mut names = place.below.split('/').map(sys::c_string).peekable();
        while let Some(name) = names.peek() {
            match open_directory(&nearest, name) {
                Ok(dir) => nearest = dir,
                Err(Errno(libc::ENOENT)) => {
                    let path = [&base[..], b"/", place.below.as_bytes()].concat();
                    let names = names.collect();
                    return Ok(Some(Self {
                        base,
                        path,
                        nearest,
                        names,
                    }));
                }
                Err(_) => break,
            }
            names.next();
        }
        Ok(None)
    }

    /// Makes the place. Directories and files are the container's user's alone.
    pub(crate) fn make(self, kind: Create) -> Result<(), Errno> {
        let mut dir = self.nearest;
        let Some((last, above)) = self.names.split_last() else {
            return Ok(());
        };
        for name in above {
            make_directory(&dir, name)?;
            dir = open_directory(&dir, name)?;
        }
        match kind {
            Create::Directory => make_directory(&dir, last),
            Create::File => sys::make_file(&dir, last, 0o600),
        }
    }
}

/// Opens a directory that is no link.
fn open_directory(dir: &OwnedFd, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    sys::open(At::Dir(dir), name, flags, libc::RESOLVE_NO_SYMLINKS)
}

/// Makes a directory, unless somebody else was faster.
fn make_directory(dir: &OwnedFd, name: &CString) -> Result<(), Errno> {
    match sys::make_directory(dir, name, 0o700) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        result => result,
    }
}
