//! From the rules of a plan to open descriptors with rights.
//!
//! Invariants:
//! - A place is opened once. The path that is judged is the kernel's path of that descriptor, and the
//!   same descriptor becomes the rule, so nothing can be exchanged in between.
//! - A fixed place is granted where it says it is, or not at all.
//! - No link of procfs is followed into another mount tree (a leaked descriptor as `$HOME`).
//! - A place that is refused is left out: that only tightens. So is one behind a loop of links.
//! - No link that lies on a volume leads to a place: others may have left it there.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::{
    Create, FsRights, LaunchPlan, PathRule, Place, Variable, Volumes, judge,
};

use crate::deny::{Denials, DenyError};
use crate::errno::Errno;
use crate::place_source::{Anchored, Surroundings};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::Shown;
use crate::state::Missing;
use crate::sys::{self, At, Status};
use crate::volumes::{self, Home, Situation, VolumeTable, applicable};

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
    volumes: OnceCell<VolumeTable>,
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
            volumes: OnceCell::new(),
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
        if status.mode & libc::S_IFMT == libc::S_IFDIR && is_for_file(rule.rights) {
            return Ok(None);
        }
        let wanted = applicable(rule.rights, &status);
        let rights = match &rule.path {
            Place::Absolute(_) => wanted,
            _ if judge::covered(&path, wanted, &self.plan.rules) => FsRights::EMPTY,
            Place::Below(Variable::Entrypoint, _) => self.judge_program(&path, &status, wanted)?,
            Place::Below(variable, suffix) => {
                let anchored = self.surroundings.anchor(*variable, suffix);
                self.judge(anchored, &path, &status, wanted)?
            }
        };
        let rights = rights.intersection(self.handled);
        Ok((!rights.is_empty()).then_some(Grant { place, rights }))
    }

    /// What the plan allows on volumes besides, with the path of each.
    pub(crate) fn on_volumes(mut self) -> Result<Vec<(Shown, Grant)>, PlaceError> {
        if self.plan.volumes == Volumes::None {
            return Ok(Vec::new());
        }
        let volumes = match self.volumes.take() {
            Some(volumes) => volumes,
            None => VolumeTable::read(self.proc)?,
        };
        let grants = volumes.grants(self.plan, &self.denials, self.home()?.as_ref())?;
        let handled = grants.into_iter().map(|(path, grant)| {
            let rights = grant.rights.intersection(self.handled);
            (Shown::new(&path), Grant { rights, ..grant })
        });
        Ok(handled.collect())
    }

    fn judge_program(
        &self,
        path: &[u8],
        status: &Status,
        rights: FsRights,
    ) -> Result<FsRights, PlaceError> {
        let granted = judge::entrypoint(path, status.mode).is_ok() && !self.denials.forbid(path)?;
        Ok(if granted { rights } else { FsRights::EMPTY })
    }

    /// What is granted of `rights` at a place that the container chose, which the kernel resolved to `path`.
    fn judge(
        &self,
        anchored: Option<Anchored>,
        path: &[u8],
        status: &Status,
        rights: FsRights,
    ) -> Result<FsRights, PlaceError> {
        if judge::untrusted(path).is_err() {
            return Ok(FsRights::EMPTY);
        }
        let situation = self.situation(path, status.mount)?;
        let granted = match situation {
            Situation::Closed => FsRights::EMPTY,
            _ if !self.is_led_by_image(anchored, path, situation)? => FsRights::EMPTY,
            Situation::Volume if self.plan.volumes == Volumes::Read => {
                rights.intersection(volumes::READ)
            }
            Situation::Image | Situation::Volume => rights,
        };
        match granted.is_empty() || self.denials.forbid(path)? {
            true => Ok(FsRights::EMPTY),
            false => Ok(granted),
        }
    }

    fn situation(&self, path: &[u8], mount: u64) -> Result<Situation, PlaceError> {
        let volumes = self.volumes()?;
        Ok(match self.plan.volumes {
            Volumes::None if volumes.touch(path) => Situation::Closed,
            Volumes::None => Situation::Image,
            Volumes::Read | Volumes::AsMounted => volumes.situation(path, mount),
        })
    }

    /// Whether the way from the directory that the container named to `path` has no links, or only such as
    /// lie on the image and lead to what lies there. Others may have been left by anybody.
    fn is_led_by_image(
        &self,
        anchored: Option<Anchored>,
        path: &[u8],
        situation: Situation,
    ) -> Result<bool, PlaceError> {
        let Some(anchored) = anchored else {
            return Ok(false);
        };
        if anchored.below.is_empty() || anchored.path().to_bytes() == path {
            return Ok(true);
        }
        let named = sys::c_string(anchored.base);
        let resolve = libc::RESOLVE_NO_MAGICLINKS;
        let Ok(base) = sys::open(At::Cwd, &named, libc::O_PATH, resolve) else {
            return Ok(false);
        };
        let base_path = self.proc.path_of(&base)?;
        let straight = [&base_path[..], b"/", anchored.below.as_bytes()].concat();
        if path == straight {
            return Ok(true);
        }
        if situation != Situation::Image {
            return Ok(false);
        }
        // Any mount on the way is a volume. Only a path from the root may have absolute links then.
        let resolve = resolve | libc::RESOLVE_NO_XDEV;
        match sys::open(At::Cwd, &sys::c_string(straight), libc::O_PATH, resolve) {
            Ok(place) => Ok(self.proc.path_of(&place)? == path),
            Err(_) => Ok(false),
        }
    }

    fn volumes(&self) -> Result<&VolumeTable, PlaceError> {
        if let Some(volumes) = self.volumes.get() {
            return Ok(volumes);
        }
        let volumes = VolumeTable::read(self.proc)?;
        Ok(self.volumes.get_or_init(|| volumes))
    }

    /// The directory that `HOME` names, if there is one.
    fn home(&self) -> Result<Option<Home>, PlaceError> {
        let home = self
            .surroundings
            .path_to(&Place::Below(Variable::Home, String::new()));
        let resolve = libc::RESOLVE_NO_MAGICLINKS;
        let opened = home.and_then(|home| sys::open(At::Cwd, &home, libc::O_PATH, resolve).ok());
        let Some(opened) = opened else {
            return Ok(None);
        };
        let Ok(status) = sys::status(At::Dir(&opened), c"") else {
            return Ok(None);
        };
        let path = self.proc.path_of(&opened)?;
        Ok(Some(Home {
            path,
            mount: status.mount,
        }))
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
        let mut opened = open_place(&rule.path, &path);
        if let (Err(Errno(libc::ENOENT)), Some(kind)) = (&opened, rule.create) {
            self.make(&rule.path, kind)?;
            opened = open_place(&rule.path, &path);
        }
        match opened {
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

    /// Makes `place` if it would be granted then.
    fn make(&self, place: &Place, kind: Create) -> Result<(), PlaceError> {
        let Place::Below(variable, suffix) = place else {
            return Ok(());
        };
        let Some(anchored) = self.surroundings.anchor(*variable, suffix) else {
            return Ok(());
        };
        let Some(missing) = Missing::find(self.proc, &anchored)? else {
            return Ok(());
        };
        let Ok(status) = sys::status(At::Dir(&missing.nearest), c"") else {
            return Ok(());
        };
        let paths = [&missing.base, &missing.path];
        let is_acceptable = paths.iter().all(|path| judge::untrusted(path).is_ok());
        let may_write = match self.situation(&missing.path, status.mount)? {
            Situation::Image => true,
            Situation::Volume => self.plan.volumes == Volumes::AsMounted,
            Situation::Closed => false,
        };
        if is_acceptable && may_write && !self.denials.forbid_making(&missing.path)? {
            // What cannot be made earns nothing: the file system is read-only, for one.
            let _ = missing.make(kind);
        }
        Ok(())
    }
}

/// Whether a rule is meant for a file. On a directory it would hold for all files below.
fn is_for_file(rights: FsRights) -> bool {
    judge::FILE_RIGHTS.contains_all(rights)
}

/// Opens `place` by its path.
fn open_place(place: &Place, path: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = match place {
        // The image cannot move what the host named: a link on the way earns nothing.
        Place::Absolute(_) => libc::RESOLVE_NO_SYMLINKS,
        Place::Below(..) => libc::RESOLVE_NO_MAGICLINKS,
    };
    sys::open(At::Cwd, path, libc::O_PATH, resolve)
}
