//! Where links of the image lead what the runtime mounts.
//!
//! The runtime follows the image's links, so its mounts need not be where their names say. What it mounted
//! behind such a link is no volume, wherever it is.

use kubefence_launch_plan::judge::at_or_below;

use crate::errno::Errno;
use crate::procfs::{ProcFs, ProcFsError};
use crate::sys::{self, At};

/// What is mounted for every container, or holds such mounts alone.
const RUNTIMES: [&str; 12] = [
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/dev",
    "/dev/shm",
    "/dev/termination-log",
    "/proc",
    "/sys",
    "/run/secrets",
    "/var/run/secrets",
    "/run/.containerenv",
    "/nono",
];

/// Directories in which volumes are read at most.
const SYSTEM: [&str; 2] = ["/etc", "/run"];

/// Where the image's links lead.
#[derive(Default)]
pub(super) struct Redirected {
    /// The kernel's paths of what is the runtime's and bears another name.
    runtimes: Vec<Vec<u8>>,
    /// Of system directories.
    system: Vec<Vec<u8>>,
    /// Whether some name could not be followed. Then everything may be the runtime's.
    is_unknown: bool,
}

impl Redirected {
    /// Follows the names.
    pub(super) fn find(proc: &ProcFs) -> Self {
        let mut found = Self::default();
        for name in RUNTIMES {
            match target(proc, name) {
                Ok(target) => found.runtimes.extend(target),
                Err(_) => found.is_unknown = true,
            }
        }
        for name in SYSTEM {
            match target(proc, name) {
                Ok(target) => found.system.extend(target),
                Err(_) => found.is_unknown = true,
            }
        }
        found
    }

    /// Whether a mount at `point` is the runtime's.
    pub(super) fn claims(&self, point: &[u8]) -> bool {
        let is_systems = self.system.iter().any(|dir| point == dir);
        let is_within = |dir: &Vec<u8>| at_or_below(point, dir);
        self.is_unknown || is_systems || self.runtimes.iter().any(is_within)
    }

    /// Whether `path` lies in a system directory that bears another name.
    pub(super) fn is_in_system(&self, path: &[u8]) -> bool {
        self.system.iter().any(|dir| at_or_below(path, dir))
    }
}

/// The kernel's path of `name`, if a link leads there.
fn target(proc: &ProcFs, name: &str) -> Result<Option<Vec<u8>>, Unfollowed> {
    let name = sys::c_string(name);
    let open = |resolve| sys::open(At::Cwd, &name, libc::O_PATH, resolve);
    let opened = match open(libc::RESOLVE_NO_SYMLINKS) {
        Err(Errno(libc::ELOOP)) => open(libc::RESOLVE_NO_MAGICLINKS),
        Ok(_) => return Ok(None),
        other => other,
    };
    match opened {
        Ok(place) => Ok(Some(proc.path_of(&place)?)),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(_) => Err(Unfollowed),
    }
}

/// It is not known where a name leads.
struct Unfollowed;

impl From<ProcFsError> for Unfollowed {
    fn from(_: ProcFsError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_a_link_is_the_runtimes() {
        let found = Redirected {
            runtimes: vec![b"/w/resolv".to_vec(), b"/d2".to_vec()],
            system: vec![b"/e2".to_vec()],
            is_unknown: false,
        };
        for point in [&b"/w/resolv"[..], b"/d2", b"/d2/shm", b"/e2"] {
            assert!(found.claims(point), "{}", point.escape_ascii());
        }
        for point in [&b"/w"[..], b"/w/resolv2", b"/e2/config", b"/data"] {
            assert!(!found.claims(point), "{}", point.escape_ascii());
        }
        assert!(found.is_in_system(b"/e2/config") && !found.is_in_system(b"/e"));
        let is_unknown = true;
        let unknown = Redirected {
            is_unknown,
            ..Redirected::default()
        };
        assert!(unknown.claims(b"/data"));
    }
}
