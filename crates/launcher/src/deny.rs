//! What must not become reachable: the deny places of the plan.
//!
//! Invariants:
//! - A secret whose own path the image leads into a granted place ends the launch: mounts follow the
//!   image's links, so a rule for that place would open it.
//! - No place that the image chose is granted if it holds, or lies in, a deny place that exists.

use kubefence_launch_plan::{LaunchPlan, Place, Variable, judge};

use crate::errno::Errno;
use crate::listing::Listing;
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
pub(crate) struct Denials<'a> {
    proc: &'a ProcFs,
    /// Kernel paths of the secrets that exist.
    secrets: Vec<Vec<u8>>,
    /// Other absolute ones, not looked up yet.
    fixed: Vec<&'a str>,
    /// Of those below the home: where below it.
    in_home: Vec<&'a str>,
    home: Option<&'a [u8]>,
}

impl<'a> Denials<'a> {
    /// Looks where the secrets lie that the runtime mounts, and refuses the launch if the image has moved
    /// one to where a rule of the plan opens it.
    pub(crate) fn new(
        proc: &'a ProcFs,
        plan: &'a LaunchPlan,
        surroundings: &Surroundings<'a>,
    ) -> Result<Self, DenyError> {
        let mut denials = Self {
            proc,
            secrets: Vec::new(),
            fixed: Vec::new(),
            in_home: Vec::new(),
            home: surroundings.home.and_then(usable),
        };
        let mut missing: &[u8] = b"-";
        for place in &plan.deny {
            match place {
                // What lies below something that does not exist does not exist either.
                Place::Absolute(path) if judge::at_or_below(path.as_bytes(), missing) => {}
                Place::Absolute(path) if judge::in_run(path.as_bytes()) => {
                    match secret(proc, plan, place, path)? {
                        Some(target) => denials.secrets.push(target),
                        None => missing = path.as_bytes(),
                    }
                }
                Place::Absolute(path) => denials.fixed.push(path),
                Place::Below(Variable::Home, suffix) => denials.in_home.push(suffix),
                Place::Below(..) => {}
            }
        }
        Ok(denials)
    }

    /// Whether granting `path`, which the image chose, would open up a deny place. `HOME` is the image's
    /// word too, so every directory from `path` upwards is taken for a home.
    pub(crate) fn forbid(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        if self
            .secrets
            .iter()
            .any(|secret| judge::related(path, secret))
        {
            return Ok(true);
        }
        for entry in &self.fixed {
            if self.is_related(path, entry.as_bytes())? {
                return Ok(true);
            }
        }
        for home in self.home.into_iter().chain(upwards(path)) {
            let listing = Listing::of(home);
            for suffix in self
                .in_home
                .iter()
                .filter(|suffix| listing.may_hold(suffix))
            {
                if self.is_related(path, &[home, b"/", suffix.as_bytes()].concat())? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_related(&self, path: &[u8], entry: &[u8]) -> Result<bool, ProcFsError> {
        let locations = locations(self.proc, entry)?;
        Ok(locations.iter().any(|at| judge::related(path, at)))
    }
}

/// The kernel's path of a secret, if it exists.
fn secret(
    proc: &ProcFs,
    plan: &LaunchPlan,
    place: &Place,
    path: &str,
) -> Result<Option<Vec<u8>>, DenyError> {
    let target = match sys::open(At::Cwd, &sys::c_string(path), libc::O_PATH, 0) {
        Ok(target) => proc.path_of(&target)?,
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(None),
        Err(errno) => return Err(DenyError::Unknown(place.clone(), errno)),
    };
    if !judge::in_run(&target) || judge::opened_up(&target, &plan.rules) {
        return Err(DenyError::Redirected(place.clone(), Shown::new(&target)));
    }
    Ok(Some(target))
}

/// `path` and the directories that it lies in, without the root.
fn upwards(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    fn parent<'a>(path: &&'a [u8]) -> Option<&'a [u8]> {
        let slash = path.iter().rposition(|b| *b == b'/')?;
        Some(&path[..slash])
    }
    std::iter::successors(Some(path), parent).filter(|path| !matches!(*path, b"" | b"/"))
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
