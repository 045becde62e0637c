//! What must not become reachable: the deny places of the plan.
//!
//! Invariants:
//! - A secret whose own path the image leads into a granted place ends the launch: mounts follow the
//!   image's links, so a rule for that place would open it.
//! - No place that the image chose is granted if it holds, or lies in, a deny place that exists.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use kubefence_launch_plan::{LaunchPlan, Place, Variable, judge};

use crate::errno::Errno;
use crate::listing::Listing;
use crate::place_source::{Surroundings, join};
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
    /// Paths of other ones.
    named: Vec<Cow<'a, [u8]>>,
    /// Kernel paths of those that exist, looked up when first needed.
    named_at: OnceCell<Vec<Vec<u8>>>,
    /// Of those below the home: where below it.
    in_home: Vec<Cow<'a, str>>,
    home: Option<&'a [u8]>,
    /// The directories that were looked into so far.
    homes: RefCell<Vec<Home>>,
}

/// A directory that may be a home.
struct Home {
    path: Vec<u8>,
    /// Kernel paths of what is denied below it and exists.
    denied: Vec<Vec<u8>>,
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
            named: Vec::new(),
            named_at: OnceCell::new(),
            in_home: Vec::new(),
            home: surroundings.environment.value(Variable::Home),
            homes: RefCell::default(),
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
                Place::Absolute(path) => denials.named.push(path.as_bytes().into()),
                Place::Below(variable, suffix) => denials.add(*variable, suffix, surroundings),
            }
        }
        Ok(denials)
    }

    /// Adds the place `suffix` below `variable`. One that may lie below the home is looked for there, even
    /// if the environment names another directory: that is the image's word.
    fn add(&mut self, variable: Variable, suffix: &'a str, surroundings: &Surroundings<'a>) {
        match variable.below_home() {
            _ if variable == Variable::Home && !suffix.is_empty() => {
                return self.in_home.push(suffix.into());
            }
            Some(below) => self.in_home.push(join(below, suffix).into()),
            None => {}
        }
        let is_elsewhere =
            variable.below_home().is_none() || surroundings.environment.value(variable).is_some();
        if let Some(anchored) = surroundings
            .anchor(variable, suffix)
            .filter(|_| is_elsewhere)
        {
            self.named.push(anchored.path().into_bytes().into());
        }
    }

    /// Whether granting `path`, which the image chose, would open up a deny place. `HOME` is the image's
    /// word too, so every directory from `path` upwards is taken for a home.
    pub(crate) fn forbid(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        let is_among = |places: &[Vec<u8>]| places.iter().any(|at| judge::related(path, at));
        if is_among(&self.secrets) || is_among(self.named_at()?) {
            return Ok(true);
        }
        for home in self.home.into_iter().chain(upwards(path)) {
            let mut homes = self.homes.borrow_mut();
            let at = match homes.iter().position(|known| known.path == home) {
                Some(at) => at,
                None => {
                    let (path, denied) = (home.to_vec(), self.below(home)?);
                    homes.push(Home { path, denied });
                    homes.len() - 1
                }
            };
            if is_among(&homes[at].denied) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether making `path`, where nothing is yet, would make a deny place or something in one.
    pub(crate) fn forbid_making(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        if self.forbid(path)? {
            return Ok(true);
        }
        for entry in &self.named {
            if nearest(self.proc, entry)?.is_some_and(|at| judge::at_or_below(path, &at)) {
                return Ok(true);
            }
        }
        let is_in = |home: &[u8]| {
            let rest = path
                .strip_prefix(home)
                .and_then(|rest| rest.strip_prefix(b"/"));
            let is_denied = |rest| {
                self.in_home
                    .iter()
                    .any(|s| judge::at_or_below(rest, s.as_bytes()))
            };
            rest.is_some_and(is_denied)
        };
        Ok(upwards(path).any(is_in))
    }

    fn named_at(&self) -> Result<&[Vec<u8>], ProcFsError> {
        if let Some(found) = self.named_at.get() {
            return Ok(found);
        }
        let mut found = Vec::new();
        for entry in &self.named {
            found.append(&mut locations(self.proc, entry)?);
        }
        Ok(self.named_at.get_or_init(|| found))
    }

    /// The kernel's paths of what is denied below `home`.
    fn below(&self, home: &[u8]) -> Result<Vec<Vec<u8>>, ProcFsError> {
        let listing = Listing::of(home);
        let mut found = Vec::new();
        for suffix in self
            .in_home
            .iter()
            .filter(|suffix| listing.may_hold(suffix))
        {
            found.append(&mut locations(
                self.proc,
                &[home, b"/", suffix.as_bytes()].concat(),
            )?);
        }
        Ok(found)
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
    Ok(nearest(proc, path)?.into_iter().collect())
}

/// The kernel's path that `path` has or would have: that of the nearest directory which can be reached, and
/// the rest.
fn nearest(proc: &ProcFs, path: &[u8]) -> Result<Option<Vec<u8>>, ProcFsError> {
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
        let parent = sys::c_string(&path[..slash.max(1)]);
        if let Ok(parent) = sys::open(At::Cwd, &parent, libc::O_PATH, 0) {
            let mut location = proc.path_of(&parent)?;
            if location == b"/" {
                location.clear();
            }
            location.extend_from_slice(&path[slash..]);
            return Ok(Some(location));
        }
        end = slash;
    }
    Ok(None)
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
