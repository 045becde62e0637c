//! From the rules of a plan to open descriptors with rights.
//!
//! Invariants:
//! - A place is opened once. The path that is judged is the kernel's path of that descriptor, and the
//!   same descriptor becomes the rule, so nothing can be exchanged in between.
//! - A fixed place is granted where it says it is, or not at all.
//! - No link leads to a place, except to the program: a confined process may have left one before this
//!   launch. (The runtime has followed those to the working directory, which nobody can tell any more.)
//! - A place that is refused is left out: that only tightens. So is one behind a link.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::{
    Create, FsRights, LaunchPlan, PathRule, Place, Variable, Volumes, judge,
};

use crate::deny::Denials;
use crate::errno::Errno;
use crate::listing::below;
use crate::place_source::{Surroundings, beneath};
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::Shown;
use crate::state::Missing;
use crate::sys::{self, At, FileId, Status};
use crate::tokens::{self, Budget, Found};
use crate::volumes::{Home, Situation, VolumeTable, applicable};

/// An open file or directory, and what is allowed there.
pub(crate) struct Grant {
    /// The place.
    pub(crate) place: OwnedFd,
    /// Which file or directory it is.
    pub(crate) file: FileId,
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
    surroundings: Surroundings,
    denials: Denials<'a>,
    /// Read when the first place needs it: most containers have none that does.
    volumes: OnceCell<VolumeTable<'a>>,
    /// The directory that `HOME` names, if there is one; looked up when first needed.
    home: OnceCell<Option<Home>>,
}

impl<'a> Places<'a> {
    /// Prepares to open the places of `plan`, of whose rights `handled` can be granted.
    pub(crate) fn new(
        proc: &'a ProcFs,
        plan: &'a LaunchPlan,
        handled: FsRights,
        surroundings: Surroundings,
        denials: Denials<'a>,
    ) -> Self {
        Self {
            proc,
            plan,
            handled,
            surroundings,
            denials,
            volumes: OnceCell::new(),
            home: OnceCell::new(),
        }
    }

    /// Opens and judges the place of `rule`. `None` means that the rule is left out.
    pub(crate) fn grant(&self, rule: &PathRule) -> Result<Option<Grant>, PlaceError> {
        if self.is_settled(rule) {
            return Ok(None);
        }
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
            Place::Absolute(_) if self.betrays(&path, &status)? => FsRights::EMPTY,
            Place::Absolute(_) => wanted,
            _ if judge::covered(&path, wanted, &self.plan.rules) => FsRights::EMPTY,
            Place::Below(Variable::Entrypoint, _) => self.judge_program(&path, &status, wanted)?,
            Place::Below(..) => self.judge(&path, &status, wanted)?,
        };
        let rights = rights.intersection(self.handled);
        let file = status.file;
        Ok((!rights.is_empty()).then_some(Grant {
            place,
            file,
            rights,
        }))
    }

    /// Whether `rule` is for the program or its directory and can be left out without a look: a fixed rule
    /// covers it, or a link led to the program, so that somebody chose the directory.
    fn is_settled(&self, rule: &PathRule) -> bool {
        let Place::Below(variable, suffix) = &rule.path else {
            return false;
        };
        let wanted = match variable {
            Variable::Entrypoint => rule.rights.intersection(judge::FILE_RIGHTS),
            Variable::EntrypointDir if !self.surroundings.is_program_direct => return true,
            Variable::EntrypointDir => rule.rights,
            _ => return false,
        };
        let path = match variable {
            Variable::Entrypoint => self.surroundings.program_path.as_deref(),
            _ => self.surroundings.program_directory(),
        };
        let is_covered = |path| judge::covered(path, wanted, &self.plan.rules);
        suffix.is_empty() && path.is_some_and(is_covered)
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
        let grants = volumes.grants(self.plan, &self.denials, self.home()?)?;
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
        let is_secret = || -> Result<bool, ProcFsError> {
            let volumes = self.volumes()?;
            Ok(match self.plan.volumes {
                Volumes::None if volumes.touch(path) => {
                    tokens::in_file(path, &mut Budget::default()) != Found::Nothing
                }
                Volumes::None => false,
                _ => volumes.situation(path, status.mount, &self.denials)? == Situation::Closed,
            })
        };
        let granted = judge::entrypoint(path, status.mode).is_ok()
            && !self.denials.forbid(path)?
            && !is_secret()?;
        Ok(if granted { rights } else { FsRights::EMPTY })
    }

    /// What is granted of `rights` at a place that the container chose, of the kernel's path `path`.
    fn judge(
        &self,
        path: &[u8],
        status: &Status,
        rights: FsRights,
    ) -> Result<FsRights, PlaceError> {
        if judge::untrusted(path).is_err() {
            return Ok(FsRights::EMPTY);
        }
        let granted = match self.situation(path, status.mount)? {
            Situation::Closed => FsRights::EMPTY,
            Situation::Volume if self.plan.volumes == Volumes::Read => {
                rights.intersection(FsRights::READ)
            }
            Situation::Image | Situation::Volume => rights,
        };
        if granted.is_empty() || self.denials.forbid(path)? {
            return Ok(FsRights::EMPTY);
        }
        match FsRights::READ.contains_all(granted) || !self.holds_home(path)? {
            true => Ok(granted),
            // Otherwise what is denied in the home could be made there.
            false => Ok(granted.intersection(FsRights::READ)),
        }
    }

    /// Whether the directory that `HOME` names lies below `path`, if only by its name.
    fn holds_home(&self, path: &[u8]) -> Result<bool, ProcFsError> {
        let named = self.surroundings.environment.value(Variable::Home);
        let found = self.home()?.map(|home| &home.path[..]);
        let mut homes = named.into_iter().chain(found);
        Ok(homes.any(|home| below(home, path).is_some()))
    }

    /// Whether a rule for the fixed place `path` would open what the volume that it lies on must not show.
    fn betrays(&self, path: &[u8], status: &Status) -> Result<bool, PlaceError> {
        let is_open = self.plan.volumes != Volumes::None;
        Ok(is_open && self.volumes()?.betrays(path, status.mount))
    }

    fn situation(&self, path: &[u8], mount: u64) -> Result<Situation, PlaceError> {
        let volumes = self.volumes()?;
        Ok(match self.plan.volumes {
            Volumes::None if volumes.touch(path) => Situation::Closed,
            Volumes::None => Situation::Image,
            Volumes::Read | Volumes::AsMounted => volumes.situation(path, mount, &self.denials)?,
        })
    }

    fn volumes(&self) -> Result<&VolumeTable<'a>, ProcFsError> {
        if let Some(volumes) = self.volumes.get() {
            return Ok(volumes);
        }
        let volumes = VolumeTable::read(self.proc)?;
        Ok(self.volumes.get_or_init(|| volumes))
    }

    fn home(&self) -> Result<Option<&Home>, ProcFsError> {
        if let Some(home) = self.home.get() {
            return Ok(home.as_ref());
        }
        let home = self.find_home()?;
        Ok(self.home.get_or_init(|| home).as_ref())
    }

    fn find_home(&self) -> Result<Option<Home>, ProcFsError> {
        let Some(home) = self.surroundings.environment.value(Variable::Home) else {
            return Ok(None);
        };
        // One that does not exist yet lies where the nearest directory does that can be reached.
        let mut end = home.len();
        loop {
            let (name, rest) = home.split_at(end);
            let name = sys::c_string(if end == 0 { b"/" } else { name });
            match sys::open(At::Cwd, &name, libc::O_PATH, libc::RESOLVE_NO_MAGICLINKS) {
                Ok(nearest) => {
                    let status = sys::status(At::Dir(&nearest), c"").ok();
                    let path = self.proc.name_of(&nearest)?;
                    return Ok(path.zip(status).map(|(path, status)| Home {
                        path: match rest.strip_prefix(b"/") {
                            Some(rest) => beneath(&path, rest),
                            None => path,
                        },
                        mount: status.mount,
                    }));
                }
                Err(_) if end == 0 => return Ok(None),
                Err(_) => end = home[..end].iter().rposition(|b| *b == b'/').unwrap_or(0),
            }
        }
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
                    Place::Below(Variable::Workdir | Variable::Entrypoint, _) => {
                        self.proc.name_of(&place)?
                    }
                    // A normal path without links is the kernel's path already.
                    _ => Some(path.into_bytes()),
                };
                Ok(path.map(|path| (place, path)))
            }
            // A link: chosen by the image or by anybody, and nothing to be granted.
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
        // The path of the working directory may not be known, and where it is, the same shall happen.
        if *variable == Variable::Workdir {
            return Ok(());
        }
        let Some(anchored) = self.surroundings.anchor(*variable, suffix) else {
            return Ok(());
        };
        let path = anchored.path().into_bytes();
        if [anchored.base, &path]
            .iter()
            .any(|path| judge::untrusted(path).is_err())
        {
            return Ok(());
        }
        let Some(missing) = Missing::find(&anchored) else {
            return Ok(());
        };
        let Ok(status) = sys::status(At::Dir(&missing.nearest), c"") else {
            return Ok(());
        };
        let may_write = match self.situation(&path, status.mount)? {
            Situation::Image => true,
            Situation::Volume => self.plan.volumes == Volumes::AsMounted,
            Situation::Closed => false,
        };
        if may_write && !self.denials.forbid_making(&path)? {
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
        // Programs are links often, and what they lead to is judged as a program.
        Place::Below(Variable::Entrypoint, _) => libc::RESOLVE_NO_MAGICLINKS,
        _ => libc::RESOLVE_NO_SYMLINKS,
    };
    sys::open(At::Cwd, path, libc::O_PATH, resolve)
}
