//! What must not become reachable: the deny places of the plan.
//!
//! Invariants:
//! - A secret whose own path the image leads into a granted place ends the launch: mounts follow the
//!   image's links, so a rule for that place would open it.
//! - No place is granted, neither one that the image chose nor a fixed one, if it holds, or lies in, a deny
//!   place that exists.
//! - What anybody may have left in a home or on a volume makes launches narrower, but ends none.

mod shells;

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use kubefence_launch_plan::{PathRule, Place, Variable, judge};

use self::shells::is_shells;
use crate::errno::Errno;
use crate::listing::{Listings, below};
use crate::place_source::{Surroundings, beneath, join};
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
    /// Where those are that exist, looked up when first needed.
    named_at: OnceCell<Vec<Location>>,
    /// Kernel paths that they have or would have, looked up when first needed.
    named_nearest: OnceCell<Vec<Vec<u8>>>,
    /// Of those below the home: where below it.
    in_home: Vec<Cow<'a, str>>,
    /// The directories that `HOME` names.
    named_homes: Vec<Vec<u8>>,
    /// The directories that were looked into so far.
    homes: RefCell<Vec<Home>>,
    listings: Listings,
    /// The kernel's paths of directories that were opened so far.
    directories: RefCell<Vec<Directory>>,
}

/// The path of a directory, and the kernel's if it can be reached.
type Directory = (Vec<u8>, Option<Vec<u8>>);

/// A directory that may be a home.
struct Home {
    path: Vec<u8>,
    /// What is denied below it and exists.
    denied: Vec<Location>,
}

/// Where a deny place is.
struct Location {
    /// The kernel's path.
    path: Vec<u8>,
    /// Whether it lies in the system, by a link from elsewhere. Then no fixed rule is left out for it:
    /// anybody could have left the link, and without the system nothing starts.
    is_led_astray: bool,
}

impl Location {
    /// The location `path` of the deny place called `name`.
    fn new(path: Vec<u8>, name: &[u8]) -> Self {
        let is_led_astray = judge::untrusted(&path).is_err() && judge::untrusted(name).is_ok();
        Self {
            path,
            is_led_astray,
        }
    }
}

impl<'a> Denials<'a> {
    /// Looks where the secrets lie that the runtime mounts, and refuses the launch if the image has moved
    /// one to where one of `rules` opens it. What any of `surroundings` denies is denied.
    pub(crate) fn new(
        proc: &'a ProcFs,
        deny: &'a [Place],
        rules: &[PathRule],
        surroundings: &[&Surroundings],
    ) -> Result<Self, DenyError> {
        let mut named_homes: Vec<Vec<u8>> = Vec::new();
        for home in surroundings
            .iter()
            .filter_map(|s| s.environment.value(Variable::Home))
        {
            if named_homes.iter().all(|known| known != home) {
                named_homes.push(home.to_vec());
            }
        }
        let mut denials = Self {
            proc,
            secrets: Vec::new(),
            named: Vec::new(),
            named_at: OnceCell::new(),
            named_nearest: OnceCell::new(),
            in_home: Vec::new(),
            named_homes,
            homes: RefCell::default(),
            listings: Listings::default(),
            directories: RefCell::default(),
        };
        let mut missing: &[u8] = b"-";
        for place in deny {
            match place {
                // What lies below something that does not exist does not exist either.
                Place::Absolute(path) if judge::at_or_below(path.as_bytes(), missing) => {}
                Place::Absolute(path) if judge::in_run(path.as_bytes()) => {
                    match secret(proc, rules, place, path)? {
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
    fn add(&mut self, variable: Variable, suffix: &'a str, surroundings: &[&Surroundings]) {
        match variable.below_home() {
            _ if variable == Variable::Home && !suffix.is_empty() => {
                return self.in_home.push(suffix.into());
            }
            Some(below) => self.in_home.push(join(below, suffix).into()),
            None => {}
        }
        let is_elsewhere = |surroundings: &&&Surroundings| {
            variable.below_home().is_none() || surroundings.environment.value(variable).is_some()
        };
        for surroundings in surroundings.iter().filter(is_elsewhere) {
            let path = surroundings.anchor(variable, suffix).map(|a| a.path());
            let path = path.map(|path| Cow::from(path.into_bytes()));
            let is_new = |path: &Cow<[u8]>| !self.named.contains(path);
            if let Some(path) = path.filter(is_new) {
                self.named.push(path);
            }
        }
    }

    fn named_homes(&self) -> impl Iterator<Item = &[u8]> {
        self.named_homes.iter().map(Vec::as_slice)
    }

    fn is_named_home(&self, path: &[u8]) -> bool {
        self.named_homes().any(|home| home == path)
    }

    /// Whether granting `path`, which the image chose, would open up a deny place. `HOME` is the image's
    /// word too, so every directory from `path` upwards is taken for a home; but as many a project has an
    /// `.env`, only denied directories count in those that `HOME` does not name.
    pub(crate) fn forbid(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        let is_related = |at: &Location| judge::related(path, &at.path);
        let is_secret = |at: &Vec<u8>| judge::related(path, at);
        if self.secrets.iter().any(is_secret) || self.named_at()?.iter().any(is_related) {
            return Ok(true);
        }
        for home in self.named_homes().chain(upwards(path)) {
            let at = self.look_into(home)?;
            if self.homes.borrow()[at].denied.iter().any(is_related) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The kernel's paths of the deny places that exist, with every directory from `points` upwards taken for
    /// a home. Links in those count as themselves: what one volume holds does not shut another.
    pub(crate) fn existing<'p>(
        &'p self,
        points: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Vec<Vec<u8>>, ProcFsError> {
        let mut found = self.secrets.clone();
        found.extend(self.named_at()?.iter().map(|at| at.path.clone()));
        let mut seen: Vec<&[u8]> = Vec::new();
        for home in self.named_homes().chain(points.flat_map(upwards)) {
            if seen.contains(&home) {
                continue;
            }
            seen.push(home);
            let at = self.look_into(home)?;
            let is_homes = self.is_named_home(home);
            let homes = self.homes.borrow();
            let denied = homes[at].denied.iter().map(|at| &at.path);
            let counted = denied.filter(|path| is_homes || judge::at_or_below(path, home));
            found.extend(counted.cloned());
        }
        Ok(found)
    }

    /// Whether making `path`, where nothing is yet, would make a deny place or something in one.
    pub(crate) fn forbid_making(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        let is_in = |at: &Vec<u8>| judge::at_or_below(path, at);
        if self.forbid(path)? || self.named_nearest()?.iter().any(is_in) {
            return Ok(true);
        }
        let is_denied = |rest: &[u8]| {
            let mut suffixes = self.in_home.iter();
            suffixes.any(|suffix| judge::at_or_below(rest, suffix.as_bytes()))
        };
        Ok(upwards(path).any(|home| below(path, home).is_some_and(is_denied)))
    }

    /// Leaves out of `rules` those for a fixed place that holds, or lies in, a deny place. A home in a system
    /// directory, or a shell's files in it, close nothing that the host named: nearly every image has those.
    pub(crate) fn prune(&self, rules: &mut Vec<PathRule>) -> Result<(), ProcFsError> {
        let looked = self.named_homes().map(|home| self.look_into(home));
        let looked: Vec<usize> = looked.collect::<Result<_, _>>()?;
        let homes = self.homes.borrow();
        let in_home = || looked.iter().flat_map(|at| &homes[*at].denied);
        let named = self.named_at()?;
        if named.is_empty() && in_home().next().is_none() {
            return Ok(());
        }
        let touches =
            |path: &[u8], at: &Location| !at.is_led_astray && judge::related(path, &at.path);
        rules.retain(|rule| {
            let Place::Absolute(path) = &rule.path else {
                return true;
            };
            let path = path.as_bytes();
            let is_systems = judge::untrusted(path).is_err();
            let mut of_home = in_home().filter(|at| !is_systems && !is_shells(&at.path));
            !named.iter().any(|at| touches(path, at)) && !of_home.any(|at| touches(path, at))
        });
        Ok(())
    }

    fn named_at(&self) -> Result<&[Location], ProcFsError> {
        if let Some(found) = self.named_at.get() {
            return Ok(found);
        }
        let mut found = Vec::new();
        for name in &self.named {
            self.locate(name, true, &mut found)?;
        }
        Ok(self.named_at.get_or_init(|| found))
    }

    fn named_nearest(&self) -> Result<&[Vec<u8>], ProcFsError> {
        if let Some(found) = self.named_nearest.get() {
            return Ok(found);
        }
        let mut found = Vec::new();
        for name in &self.named {
            found.extend(self.nearest(name)?);
        }
        Ok(self.named_nearest.get_or_init(|| found))
    }

    /// Looks for what is denied below `home`; its number among the directories looked into.
    fn look_into(&self, home: &[u8]) -> Result<usize, ProcFsError> {
        let known = |known: &Home| known.path == home;
        if let Some(at) = self.homes.borrow().iter().position(known) {
            return Ok(at);
        }
        self.listings.list(home);
        let with_files = self.is_named_home(home);
        let mut denied = Vec::new();
        for suffix in &self.in_home {
            let name = beneath(home, suffix.as_bytes());
            self.locate(&name, with_files, &mut denied)?;
        }
        let (path, mut homes) = (home.to_vec(), self.homes.borrow_mut());
        homes.push(Home { path, denied });
        Ok(homes.len() - 1)
    }

    /// Adds to `found` where the deny place `name` is, if it exists: the entry itself and what it leads to,
    /// if it is a link. One that cannot be reached is denied by the nearest directory that can. What is no
    /// directory, nor leads to one, is passed over unless `with_files`.
    fn locate(
        &self,
        name: &[u8],
        with_files: bool,
        found: &mut Vec<Location>,
    ) -> Result<(), ProcFsError> {
        if !self.listings.may_hold(name) {
            return Ok(());
        }
        let opened = |flags| sys::open(At::Cwd, &sys::c_string(name), flags, 0);
        let entry = match opened(libc::O_PATH | libc::O_NOFOLLOW) {
            Ok(entry) => entry,
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
            Err(_) => {
                let nearest = self.nearest(name)?;
                found.extend(nearest.map(|path| Location::new(path, name)));
                return Ok(());
            }
        };
        let is_link = sys::file_type(&entry) == Some(libc::S_IFLNK);
        let target = is_link.then(|| opened(libc::O_PATH).ok()).flatten();
        let is_directory = |file| sys::file_type(file) == Some(libc::S_IFDIR);
        if !with_files && !is_directory(target.as_ref().unwrap_or(&entry)) {
            return Ok(());
        }
        let path = self.proc.name_of(&entry)?.unwrap_or(name.to_vec());
        if let Some(target) = target
            && let Some(target) = self.proc.name_of(&target)?
            // A link to what it lies in says nothing of what lies beside it.
            && !judge::at_or_below(&path, &target)
        {
            found.push(Location::new(target, name));
        }
        found.push(Location::new(path, name));
        Ok(())
    }

    /// The kernel's path that `path` has or would have: that of the nearest directory which can be reached,
    /// and the rest.
    fn nearest(&self, path: &[u8]) -> Result<Option<Vec<u8>>, ProcFsError> {
        let mut end = path.len();
        while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
            if let Some(parent) = self.directory(&path[..slash.max(1)])? {
                return Ok(Some(beneath(&parent, &path[slash + 1..])));
            }
            end = slash;
        }
        Ok(None)
    }

    /// The kernel's path of the directory `path`, if it can be reached.
    fn directory(&self, path: &[u8]) -> Result<Option<Vec<u8>>, ProcFsError> {
        let mut known = self.directories.borrow_mut();
        if let Some((_, at)) = known.iter().find(|(known, _)| known == path) {
            return Ok(at.clone());
        }
        let at = match sys::open(At::Cwd, &sys::c_string(path), libc::O_PATH, 0) {
            Ok(directory) => self.proc.name_of(&directory)?,
            Err(_) => None,
        };
        known.push((path.to_vec(), at.clone()));
        Ok(at)
    }
}

/// The kernel's path of a secret, if it exists.
fn secret(
    proc: &ProcFs,
    rules: &[PathRule],
    place: &Place,
    path: &str,
) -> Result<Option<Vec<u8>>, DenyError> {
    let target = match sys::open(At::Cwd, &sys::c_string(path), libc::O_PATH, 0) {
        Ok(target) => proc.path_of(&target)?,
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(None),
        Err(errno) => return Err(DenyError::Unknown(place.clone(), errno)),
    };
    if !judge::in_run(&target) || judge::opened_up(&target, rules) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_on_the_way_up_may_be_a_home() {
        let found: Vec<&[u8]> = upwards(b"/home/u/x").collect();
        assert_eq!(found, [&b"/home/u/x"[..], b"/home/u", b"/home"]);
        assert_eq!(upwards(b"/").count(), 0);
    }

    #[test]
    fn links_into_the_system_leave_the_systems_rules_alone() {
        for (path, name, expected) in [
            ("/usr", "/home/u/.ssh", true),
            ("/var", "/home/u/.ssh", true),
            ("/opt/keys", "/home/u/.ssh", false),
            ("/home/u/.ssh", "/home/u/.ssh", false),
            ("/opt/v", "/etc/x", false),
            ("/usr/v", "/etc/x", false),
        ] {
            let location = Location::new(path.into(), name.as_bytes());
            assert_eq!(location.is_led_astray, expected, "{name} -> {path}");
        }
    }
}
