//! From the rules of a plan to open descriptors with rights.
//!
//! Invariants:
//! - A place is opened once. The path that is judged is the kernel's path of that descriptor, and the
//!   same descriptor becomes the rule, so nothing can be exchanged in between.
//! - A fixed place is granted where it says it is, or not at all.
//! - No link of procfs is followed into another mount tree (a leaked descriptor as `$HOME`).
//! - A place that is refused is left out: that only tightens. So is one behind a loop of links.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::{FsRights, LaunchPlan, PathRule, Place, Variable, judge};

use crate::deny::{Denials, DenyError};
use crate::errno::Errno;
use crate::mounts::Mounts;
use crate::place_source::Surroundings;
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::Shown;
use crate::sys::{self, At};

/// An open file or directory, and what is allowed there.
pub(crate) struct Grant {
    /// The place.
    pub(crate) place: OwnedFd,
    /// The rights, all of which apply to it.
    pub(crate) rights: FsRights,
}

/// Why a rule can be neither applied nor left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlaceError {
    #[error(
        "the profile requires {place} ({origin}), which does not exist here: set the variable to an absolute path without `..`"
    )]
    Nowhere { place: Place, origin: String },
    #[error("cannot open {place} ({origin}) at {path}: repair it, or choose a profile without it")]
    Open {
        place: Place,
        origin: String,
        path: Shown,
        #[source]
        errno: Errno,
    },
    #[error("cannot tell what {place} ({origin}) is")]
    Status {
        place: Place,
        origin: String,
        #[source]
        errno: Errno,
    },
    #[error(transparent)]
    Denied(#[from] DenyError),
    #[error(transparent)]
    ProcFs(#[from] ProcFsError),
}

/// Opens the places of one plan.
pub(crate) struct Places<'a> {
    proc: &'a ProcFs,
    plan: &'a LaunchPlan,
    handled: FsRights,
    surroundings: Surroundings<'a>,
    denials: Denials<'a>,
    /// Read when the first place needs it: most containers have none that does.
    mounts: OnceCell<Mounts>,
}

impl<'a> Places<'a> {
    /// Prepares to open the places of `plan`, of whose rights `handled` can be granted.
    pub(crate) fn new(
        proc: &'a ProcFs,
        plan: &'a LaunchPlan,
        handled: FsRights,
        surroundings: Surroundings<'a>,
    ) -> Result<Self, PlaceError> {
        Ok(Self {
            proc,
            plan,
            handled,
            denials: Denials::new(proc, plan, &surroundings)?,
            surroundings,
            mounts: OnceCell::new(),
        })
    }

    /// Opens and judges the place of `rule`. `None` means that the rule is left out.
    pub(crate) fn grant(&self, rule: &PathRule) -> Result<Option<Grant>, PlaceError> {
        let Some((place, path)) = self.open(rule)? else {
            return Ok(None);
        };
        let status = sys::status(At::Dir(&place), c"").map_err(|errno| PlaceError::Status {
            place: rule.path.clone(),
            origin: rule.origin.clone(),
            errno,
        })?;
        let is_directory = status.mode & libc::S_IFMT == libc::S_IFDIR;
        let applicable = |rights: FsRights| match is_directory {
            true => rights,
            false => rights.intersection(judge::FILE_RIGHTS),
        };
        let rights = applicable(rule.rights.intersection(self.handled));
        let granted = self.judge(rule, &path, status.mode, applicable(rule.rights))?;
        Ok((granted && !rights.is_empty()).then_some(Grant { place, rights }))
    }

    /// Whether the place of `rule`, which the kernel resolved to `path`, is granted.
    fn judge(
        &self,
        rule: &PathRule,
        path: &[u8],
        mode: u32,
        rights: FsRights,
    ) -> Result<bool, PlaceError> {
        let chosen = match &rule.path {
            Place::Absolute(_) => return Ok(true),
            Place::Below(variable, _) => variable,
        };
        if judge::covered(path, rights, &self.plan.rules) {
            return Ok(false);
        }
        let acceptable = match chosen {
            Variable::Entrypoint => judge::entrypoint(path, mode).is_ok(),
            _ => judge::untrusted(path).is_ok() && !self.mounts()?.touch(path),
        };
        Ok(acceptable && !self.denials.forbid(path)?)
    }

    fn mounts(&self) -> Result<&Mounts, PlaceError> {
        if let Some(mounts) = self.mounts.get() {
            return Ok(mounts);
        }
        let mounts = Mounts::parse(&self.proc.mountinfo()?);
        Ok(self.mounts.get_or_init(|| mounts))
    }

    /// Opens the place of `rule`, and tells the kernel's path of it.
    fn open(&self, rule: &PathRule) -> Result<Option<(OwnedFd, Vec<u8>)>, PlaceError> {
        let Some(path) = self.surroundings.path_to(&rule.path) else {
            return match rule.optional {
                true => Ok(None),
                false => Err(PlaceError::Nowhere {
                    place: rule.path.clone(),
                    origin: rule.origin.clone(),
                }),
            };
        };
        let resolve = match &rule.path {
            // The image cannot move what the host named: a link on the way earns nothing.
            Place::Absolute(_) => libc::RESOLVE_NO_SYMLINKS,
            Place::Below(..) => libc::RESOLVE_NO_MAGICLINKS,
        };
        match sys::open(At::Cwd, &path, libc::O_PATH, resolve) {
            Ok(place) => {
                let path = match &rule.path {
                    // A normal path without links is the kernel's path already.
                    Place::Absolute(named) => named.clone().into_bytes(),
                    Place::Below(..) => self.proc.path_of(&place)?,
                };
                Ok(Some((place, path)))
            }
            // A link of procfs, a loop, a moved place: chosen by the image, and nothing to be granted.
            Err(Errno(libc::ELOOP)) => Ok(None),
            Err(Errno(libc::ENAMETOOLONG)) if matches!(rule.path, Place::Below(..)) => Ok(None),
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) if rule.optional => Ok(None),
            Err(errno) => Err(PlaceError::Open {
                place: rule.path.clone(),
                origin: rule.origin.clone(),
                path: Shown::new(path.to_bytes()),
                errno,
            }),
        }
    }
}
