//! The working directory: it must lie inside the root.
//!
//! A directory that was leaked from outside (CVE-2024-21626) would let the workload walk out of the
//! container with `..`. A deleted directory has no path, but it still has a parent: it is accepted
//! when the nearest ancestor that has a path lies inside.

use crate::errno::Errno;
use crate::report::Shown;
use crate::sys::{self, At};

/// How many deleted directories may lie one inside the other.
const MAX_DELETED: usize = 64;

/// The working directory is not acceptable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WorkdirError {
    #[error(
        "the working directory {0} lies outside the root directory: start the workload in one inside"
    )]
    Outside(Shown),
    #[error(
        "cannot find out whether the working directory lies inside the root: start the workload in another one"
    )]
    Unknown(#[source] Errno),
}

/// Checks that the working directory lies inside the root, and leaves it as it is.
pub(crate) fn check() -> Result<(), WorkdirError> {
    match sys::working_directory() {
        Err(Errno(libc::ENOENT)) => check_deleted(),
        result => inside(result.map_err(WorkdirError::Unknown)?),
    }
}

fn inside(path: Vec<u8>) -> Result<(), WorkdirError> {
    if path.starts_with(b"/") {
        Ok(())
    } else {
        Err(WorkdirError::Outside(Shown::new(&path)))
    }
}

fn check_deleted() -> Result<(), WorkdirError> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let here = sys::open(At::Cwd, c".", flags, 0).map_err(WorkdirError::Unknown)?;
    let verdict = climb();
    sys::change_directory_to(&here).map_err(WorkdirError::Unknown)?;
    verdict
}

fn climb() -> Result<(), WorkdirError> {
    for _ in 0..MAX_DELETED {
        sys::change_directory(c"..").map_err(WorkdirError::Unknown)?;
        match sys::working_directory() {
            Err(Errno(libc::ENOENT)) => {}
            result => return inside(result.map_err(WorkdirError::Unknown)?),
        }
    }
    Err(WorkdirError::Unknown(Errno(libc::ELOOP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_from_the_root_is_inside() {
        for path in ["/", "/a"] {
            assert!(inside(path.into()).is_ok());
        }
        for path in ["(unreachable)/", "(unreachable)/a", ""] {
            let error = inside(path.into()).unwrap_err().to_string();
            assert!(error.contains("outside the root"), "{error}");
        }
    }
}
