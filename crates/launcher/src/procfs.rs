//! What procfs tells about this process: where its descriptors lead, which file it executes.
//!
//! Invariant: every answer comes from a file system that the kernel itself calls procfs, and not
//! through a mount on top of it. An image can ship a directory called `/proc`.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::os::fd::{AsRawFd, OwnedFd};

use crate::errno::Errno;
use crate::sys::{self, At, Status};

/// procfs as mounted at `/proc`.
pub(crate) struct ProcFs {
    root: OwnedFd,
    descriptors: OwnedFd,
}

/// procfs cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProcFsError {
    #[error("cannot open {0}: the launcher needs procfs mounted at /proc")]
    Open(&'static str, #[source] Errno),
    #[error("openat2 is blocked: allow it in the pod's seccomp profile")]
    Blocked(#[source] Errno),
    #[error("/proc is not procfs: the launcher needs procfs mounted at /proc")]
    NotProcFs,
    #[error("cannot read {0}")]
    Read(&'static str, #[source] Errno),
    #[error("cannot read the link {0}")]
    ReadLink(&'static str, #[source] Errno),
    #[error("cannot find out where descriptor {0} leads")]
    Descriptor(i32, #[source] Errno),
}

const INSIDE: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS;

impl ProcFs {
    /// Opens and checks `/proc`.
    pub(crate) fn open() -> Result<Self, ProcFsError> {
        let dir = libc::O_PATH | libc::O_DIRECTORY;
        let root =
            sys::open(At::Cwd, c"/proc", dir | libc::O_NOFOLLOW, 0).map_err(
                |errno| match errno {
                    Errno(libc::EPERM | libc::ENOSYS) => ProcFsError::Blocked(errno),
                    errno => ProcFsError::Open("/proc", errno),
                },
            )?;
        match sys::file_system(&root) {
            Ok(libc::PROC_SUPER_MAGIC) => {}
            Ok(_) => return Err(ProcFsError::NotProcFs),
            Err(errno) => return Err(ProcFsError::Open("/proc", errno)),
        }
        let descriptors = sys::open(At::Dir(&root), c"self/fd", dir, INSIDE)
            .map_err(|errno| ProcFsError::Open("/proc/self/fd", errno))?;
        Ok(Self { root, descriptors })
    }

    /// The kernel's path of what `fd` was opened for.
    pub(crate) fn path_of(&self, fd: &OwnedFd) -> Result<Vec<u8>, ProcFsError> {
        let number = fd.as_raw_fd();
        let name = sys::c_string(number.to_string());
        sys::read_link(At::Dir(&self.descriptors), &name)
            .map_err(|errno| ProcFsError::Descriptor(number, errno))
    }

    /// The same; `None` if that path is longer than the kernel tells, as anybody can make one.
    pub(crate) fn name_of(&self, fd: &OwnedFd) -> Result<Option<Vec<u8>>, ProcFsError> {
        match self.path_of(fd) {
            Err(ProcFsError::Descriptor(_, Errno(libc::ENAMETOOLONG))) => Ok(None),
            result => result.map(Some),
        }
    }

    /// The text of this process's mountinfo.
    pub(crate) fn mountinfo(&self) -> Result<Vec<u8>, ProcFsError> {
        const FILE: &str = "/proc/self/mountinfo";
        let file = self.open_file(c"self/mountinfo", FILE)?;
        read(file, FILE)
    }

    /// Opens this process's status, so that it can be read behind the sandbox's back.
    pub(crate) fn status(&self) -> Result<StatusFile, ProcFsError> {
        let file = self.open_file(c"self/status", StatusFile::PATH)?;
        Ok(StatusFile(file))
    }

    fn open_file(&self, name: &CStr, path: &'static str) -> Result<File, ProcFsError> {
        let file = sys::open(At::Dir(&self.root), name, libc::O_RDONLY, INSIDE);
        Ok(file.map_err(|errno| ProcFsError::Read(path, errno))?.into())
    }

    /// The path and status of the file that this process executes.
    pub(crate) fn executable(&self) -> Result<(Vec<u8>, Status), ProcFsError> {
        const LINK: &str = "/proc/self/exe";
        let fail = |errno| ProcFsError::ReadLink(LINK, errno);
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let link = sys::open(At::Dir(&self.root), c"self/exe", flags, INSIDE).map_err(fail)?;
        let target = sys::read_link(At::Dir(&link), c"").map_err(fail)?;
        let status = sys::status(At::Dir(&self.root), c"self/exe").map_err(fail)?;
        Ok((target, status))
    }
}

/// This process's status, open.
pub(crate) struct StatusFile(File);

impl StatusFile {
    const PATH: &str = "/proc/self/status";

    /// How many seccomp filters are in force; `None` if the kernel does not tell (before Linux 5.10).
    pub(crate) fn seccomp_filters(&self) -> Result<Option<u32>, ProcFsError> {
        let fail = |error| ProcFsError::Read(Self::PATH, Errno::of(&error));
        (&self.0).rewind().map_err(fail)?;
        Ok(seccomp_filters(&read(&self.0, Self::PATH)?))
    }
}

fn seccomp_filters(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|b| *b == b'\n');
    let count = lines.find_map(|line| line.strip_prefix(b"Seccomp_filters:"))?;
    std::str::from_utf8(count).ok()?.trim().parse().ok()
}

/// Reads what is left of `file`, most of the time with one call: the kernel makes up the text for each.
fn read(mut file: impl Read, path: &'static str) -> Result<Vec<u8>, ProcFsError> {
    let mut text = Vec::with_capacity(16 * 1024);
    match file.read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(ProcFsError::Read(path, Errno::of(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::seccomp_filters;

    #[test]
    fn filters_are_counted_where_the_kernel_tells() {
        let status = b"Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t3\nCpus:\t1\n";
        assert_eq!(seccomp_filters(status), Some(3));
        assert_eq!(seccomp_filters(b"Seccomp:\t2\n"), None);
    }
}
