//! From the rules of a plan to open descriptors with rights.
//!
//! Invariants:
//! - A place is opened once. The path that is judged is the kernel's path of that descriptor, and the
//!   same descriptor becomes the rule, so nothing can be exchanged in between.
//! - No link of procfs is followed into another mount tree (a leaked descriptor as `$HOME`).
//! - A place that is refused is left out: that only tightens. So is one behind a loop of links.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::{FsRights, LaunchPlan, PathRule, Place, Variable};

use crate::errno::Errno;
use crate::judge;
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
    ProcFs(#[from] ProcFsError),
}

/// Opens the places of one plan.
pub(crate) struct Places<'a> {
    proc: &'a ProcFs,
    plan: &'a LaunchPlan,
    handled: FsRights,
    surroundings: Surroundings<'a>,
    /// Found when the first place needs it: most containers have none that does.
    deny: OnceCell<Vec<Vec<u8>>>,
}

impl<'a> Places<'a> {
    /// Prepares to open the places of `plan`, of whose rights `handled` can be granted.
    pub(crate) fn new(
        proc: &'a ProcFs,
        plan: &'a LaunchPlan,
        handled: FsRights,
        surroundings: Surroundings<'a>,
    ) -> Self {
        Self {
            proc,
            plan,
            handled,
            surroundings,
            deny: OnceCell::new(),
        }
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
        let verdict = match &rule.path {
            Place::Absolute(named) if path == named.as_bytes() => return Ok(true),
            _ if judge::covered(path, rights, &self.plan.rules) => return Ok(false),
            Place::Below(Variable::Entrypoint, _) => judge::entrypoint(path, mode),
            _ => judge::untrusted(path),
        };
        Ok(verdict.is_ok() && judge::denied(path, self.deny()?).is_ok())
    }

    /// The resolved paths of the plan's deny places that exist.
    fn deny(&self) -> Result<&[Vec<u8>], PlaceError> {
        if let Some(deny) = self.deny.get() {
            return Ok(deny);
        }
        let mut deny = Vec::new();
        for place in &self.plan.deny {
            if let Some(path) = self.surroundings.path_to(place) {
                deny.extend(deny_locations(self.proc, path.to_bytes())?);
            }
        }
        Ok(self.deny.get_or_init(|| deny))
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
        // A normal path without links is the kernel's path already: most fixed places are spared the
        // question.
        let open = |resolve| sys::open(At::Cwd, &path, libc::O_PATH, resolve);
        let opened = match &rule.path {
            Place::Absolute(named) => match open(libc::RESOLVE_NO_SYMLINKS) {
                Ok(place) => return Ok(Some((place, named.clone().into_bytes()))),
                Err(Errno(libc::ELOOP)) => open(libc::RESOLVE_NO_MAGICLINKS),
                result => result,
            },
            Place::Below(..) => open(libc::RESOLVE_NO_MAGICLINKS),
        };
        match opened {
            Ok(place) => {
                let path = self.proc.path_of(&place)?;
                Ok(Some((place, path)))
            }
            // A link of procfs, or a loop: chosen by the image, and nothing that could be granted.
            Err(Errno(libc::ELOOP)) => Ok(None),
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

/// The kernel's paths of a deny place: of the entry itself and of what it leads to, if it is a link.
/// None when it does not exist. One that cannot be reached is denied by the nearest directory that can.
fn deny_locations(proc: &ProcFs, path: &[u8]) -> Result<Vec<Vec<u8>>, ProcFsError> {
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
