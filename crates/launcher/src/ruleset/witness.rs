//! Directories that could be read before restriction and that no rule opens: afterwards they are shut, or nothing is.
//!
//! Invariants:
//! - What could not be read before says nothing. The image decides the mode of the root directory.
//! - Each is opened anew, but from a descriptor: nothing on the way to it can be what refuses.
//!
//! The launcher's own directory is the node's, and anybody may read it. Where a rule opens it (a volume can show the
//! same directory) or a sandbox around this one shuts it already, only the root directory or nothing remains. Then the
//! answer of the kernel counts alone, which `restrict` asks for in any case.

use std::os::fd::OwnedFd;

use kubefence_launch_plan::FsRight;

use super::SandboxError;
use crate::errno::Errno;
use crate::places::Grant;
use crate::sys::{self, At, FileId};

/// Most directories that one lies in.
const DEEPEST: usize = 64;

/// What a sandbox that is in force must have shut.
pub(super) struct Witness(Vec<Directory>);

struct Directory {
    handle: OwnedFd,
    /// It, and what it lies in: a rule for one of these holds for it.
    lineage: Vec<FileId>,
}

impl Witness {
    /// To be called before restriction, with the launcher's own directory.
    pub(super) fn new(own: OwnedFd) -> Self {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let root = sys::open(At::Cwd, c"/", flags, 0).ok();
        let readable = |handle: &OwnedFd| read(handle).is_ok();
        let handles = [Some(own), root].into_iter().flatten().filter(readable);
        Self(handles.map(Directory::of).collect())
    }

    /// Notes that a rule opens what `grant` says.
    pub(super) fn heed(&mut self, grant: &Grant) {
        if grant.rights.contains(FsRight::ReadDir) {
            self.0.retain(|dir| !dir.lineage.contains(&grant.file));
        }
    }

    /// To be called after restriction: whether the first that remains is shut. One denial is enough for the audit log.
    pub(super) fn confirm(&self) -> Result<(), SandboxError> {
        match self.0.first().map(|dir| read(&dir.handle)) {
            None | Some(Err(Errno(libc::EACCES))) => Ok(()),
            Some(_) => Err(SandboxError::NotInForce(
                "a directory can be read that no rule opens",
            )),
        }
    }
}

impl Directory {
    fn of(handle: OwnedFd) -> Self {
        let mut lineage = Vec::new();
        let mut path = b".".to_vec();
        while let Ok(status) = sys::status(At::Dir(&handle), &sys::c_string(&path[..])) {
            // The root directory is its own parent.
            if lineage.last() == Some(&status.file) || lineage.len() == DEEPEST {
                break;
            }
            lineage.push(status.file);
            path.extend_from_slice(b"/..");
        }
        Self { handle, lineage }
    }
}

fn read(dir: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    sys::open(At::Dir(dir), c".", flags, 0)
}
