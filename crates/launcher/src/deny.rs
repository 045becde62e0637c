//! What must not become reachable: the deny places of the plan.
//!
//! Invariants:
//! - A secret whose own path the image leads into a granted place ends the launch: mounts follow the
//!   image's links, so a rule for that place would open it.
//! - No place that the image chose is granted if it holds, or lies in, a deny place that exists.

use std::ffi::CString;

use kubefence_launch_plan::{LaunchPlan, Place, Variable};

use crate::errno::Errno;
use crate::judge;
use crate::place_source::{Surroundings, usable};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::Shown;
use crate::sys::{self, At};

/// A launch that would open up a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DenyError {
    #[error(
        "the image leads {0} to {1}, where its content would be readable: remove the link from the image"
    )]
    Redirected(Place, Shown),
    #[error(
        "cannot find out where {0} leads: make its directories searchable for the container's user"
    )]
    Unknown(Place, #[source] Errno),
    #[error(transparent)]
    ProcFs(#[from] ProcFsError),
}

/// The deny places of one launch.
pub(crate) struct Denials {
    /// Kernel paths of the absolute ones that exist.
    fixed: Vec<Vec<u8>>,
    /// Of those below the home: where below it.
    in_home: Vec<String>,
    home: Option<Vec<u8>>,
}

impl Denials {
    /// Resolves the absolute deny places, and refuses the launch if the image has moved one to where a
    /// rule of the plan opens it.
    pub(crate) fn new(
        proc: &ProcFs,
        plan: &LaunchPlan,
        surroundings: &Surroundings<'_>,
    ) -> Result<Self, DenyError> {
        let mut denials = Self {
            fixed: Vec::new(),
            in_home: Vec::new(),
            home: surroundings.home.and_then(usable).map(<[u8]>::to_vec),
        };
        for place in &plan.deny {
            match place {
                Place::Absolute(path) => denials.resolve(proc, plan, place, path)?,
                Place::Below(Variable::Home, suffix) => denials.in_home.push(suffix.clone()),
                Place::Below(..) => {}
            }
        }
        Ok(denials)
    }

    fn resolve(
        &mut self,
        proc: &ProcFs,
        plan: &LaunchPlan,
        place: &Place,
        path: &str,
    ) -> Result<(), DenyError> {
        let secret = judge::in_run(path.as_bytes());
        let target = match open(path.as_bytes()) {
            Ok(target) => proc.path_of(&target)?,
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
            Err(errno) if secret => return Err(DenyError::Unknown(place.clone(), errno)),
            // Such as root's home for another user.
            Err(_) => path.as_bytes().to_vec(),
        };
        let moved = target != path.as_bytes();
        let opened_up = judge::opened_up(&target, &plan.rules);
        if moved && (opened_up || (secret && !judge::in_run(&target))) {
            return Err(DenyError::Redirected(place.clone(), Shown::new(&target)));
        }
        self.fixed.push(target);
        Ok(())
    }

    /// Whether granting `path`, which the image chose, would open up a deny place. `HOME` is the image's
    /// word too, so every directory from `path` upwards is taken for a home.
    pub(crate) fn forbid(&self, proc: &ProcFs, path: &[u8]) -> Result<bool, ProcFsError> {
        if self.fixed.iter().any(|denied| judge::related(path, denied)) {
            return Ok(true);
        }
        for home in self.home.iter().map(Vec::as_slice).chain(upwards(path)) {
            for suffix in &self.in_home {
                let entry = [home, b"/", suffix.as_bytes()].concat();
                if locations(proc, &entry)?
                    .iter()
                    .any(|at| judge::related(path, at))
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// `path` and the directories that it lies in, without the root.
fn upwards(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    fn parent<'a>(path: &&'a [u8]) -> Option<&'a [u8]> {
        let slash = path.iter().rposition(|b| *b == b'/')?;
        Some(&path[..slash])
    }
    std::iter::successors(Some(path), parent).filter(|path| !matches!(*path, b"" | b"/"))
}

fn open(path: &[u8]) -> Result<std::os::fd::OwnedFd, Errno> {
    let path: CString = sys::c_string(path);
    sys::open(At::Cwd, &path, libc::O_PATH, 0)
}

/// The kernel's paths of a deny place: of the entry itself and of what it leads to, if it is a link.
/// None when it does not exist. One that cannot be reached is denied by the nearest directory that can.
fn locations(proc: &ProcFs, path: &[u8]) -> Result<Vec<Vec<u8>>, ProcFsError> {
    let opened = |path: &[u8], flags| sys::open(At::Cwd, &sys::c_string(path), flags, 0);
    match opened(path, libc::O_PATH | libc::O_NOFOLLOW) {
        Ok(entry) => {
            let mut locations = vec![proc.path_of(&entry)?];
            if let Ok(target) = opened(path, libc::O_PATH) {
                locations.push(proc.path_of(&target)?);
            }
            return Ok(locations);
        }
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(Vec::new()),
        Err(_) => {}
    }
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
        if let Ok(parent) = opened(&path[..slash.max(1)], libc::O_PATH) {
            let mut location = proc.path_of(&parent)?;
            if location == b"/" {
                location.clear();
            }
            location.extend_from_slice(&path[slash..]);
            return Ok(vec![location]);
        }
        end = slash;
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::upwards;

    #[test]
    fn every_directory_on_the_way_up_may_be_a_home() {
        let found: Vec<&[u8]> = upwards(b"/home/u/x").collect();
        assert_eq!(found, [&b"/home/u/x"[..], b"/home/u", b"/home"]);
        assert_eq!(upwards(b"/").count(), 0);
    }
}
