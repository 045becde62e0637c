//! Error numbers of system calls.
//!
//! The texts are our own: `strerror` would drag message catalogues and character set conversion
//! into the static binary.

use std::fmt;

/// The error number of a failed system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl std::error::Error for Errno {}

impl Errno {
    /// The number inside `error`, or `EIO` when the standard library made it up.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            libc::E2BIG => "too big (E2BIG)",
            libc::EACCES => "permission denied (EACCES)",
            libc::EAGAIN => "try again (EAGAIN)",
            libc::EBADF => "bad file descriptor (EBADF)",
            libc::EINVAL => "invalid argument (EINVAL)",
            libc::EIO => "input/output error (EIO)",
            libc::EISDIR => "is a directory (EISDIR)",
            libc::ELOOP => "too many symbolic links (ELOOP)",
            libc::EMFILE => "too many open files (EMFILE)",
            libc::ENAMETOOLONG => "name too long (ENAMETOOLONG)",
            libc::ENFILE => "too many open files on this node (ENFILE)",
            libc::ENOENT => "no such file or directory (ENOENT)",
            libc::ENOEXEC => "not an executable format (ENOEXEC)",
            libc::ENOMEM => "out of memory (ENOMEM)",
            libc::ENOSYS => "not implemented (ENOSYS)",
            libc::ENOTDIR => "not a directory (ENOTDIR)",
            libc::ENXIO => "no such device (ENXIO)",
            libc::EOPNOTSUPP => "not supported (EOPNOTSUPP)",
            libc::EPERM => "operation not permitted (EPERM)",
            libc::EPIPE => "broken pipe (EPIPE)",
            libc::ESTALE => "stale file handle (ESTALE)",
            libc::ETXTBSY => "text file busy (ETXTBSY)",
            libc::EXDEV => "crosses a mount or leaves the directory (EXDEV)",
            number => return write!(f, "error number {number}"),
        };
        f.write_str(text)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
