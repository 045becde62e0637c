//! What the plan allows on volumes: what the pod mounts besides the image.
//!
//! Invariants:
//! - A mount is what was opened at its mount point and says to be it; what another mount covers counts for
//!   nothing.
//! - Nothing is opened up that holds a service-account token, is mounted by the runtime, or could not be
//!   looked through.
//! - A rule holds for a file, whichever mount shows it. So what matters is what a mount shows, and what
//!   hangs there through any mount, not the path.

mod runtime;

use std::cell::{OnceCell, RefCell};
use std::os::fd::OwnedFd;

use kubefence_launch_plan::judge::{self, Refusal, at_or_below};
use kubefence_launch_plan::{FsRights, LaunchPlan, Volumes};

use crate::deny::Denials;
use crate::mounts::{Location, Mount, Mounts};
use crate::places::Grant;
use crate::procfs::{ProcFs, ProcFsError};
use crate::sys::{self, At, Status};
use crate::tokens::{self, Budget, Found};

use runtime::Redirected;

/// The mounts of this process, and what is known of them.
pub(crate) struct VolumeTable<'a> {
    proc: &'a ProcFs,
    /// As read.
    mountinfo: Vec<u8>,
    mounts: Mounts,
    /// Looked at when first needed, as all below.
    looks: Vec<OnceCell<Look>>,
    redirected: OnceCell<Redirected>,
    /// Where the deny places that exist lie.
    denied: OnceCell<Vec<Location>>,
    budgets: RefCell<Budgets>,
}

/// What may be looked at for all mounts together. What programs leave in memory must not use up what the
/// rest needs.
#[derive(Default)]
struct Budgets {
    in_scratch: Budget,
    elsewhere: Budget,
}

/// What a look at a mount showed.
enum Look {
    /// It cannot be reached, another mount covers it.
    Hidden,
    /// It is no volume, holds a token, or cannot be looked at.
    Closed,
    /// It is a volume in memory that holds a token of a program's own, or too much to be looked through:
    /// places on it may be opened up, as nobody projects tokens there, but not all of it.
    Large,
    /// It is a volume that may be opened up.
    Open(OwnedFd, Status),
}

/// How a place lies to the volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// It has nothing to do with them.
    Image,
    /// It lies on one, or one lies below it, and all of these may be opened up.
    Volume,
    /// What is mounted there must stay shut.
    Closed,
}

impl<'a> VolumeTable<'a> {
    /// Reads the mounts of this process.
    pub(crate) fn read(proc: &'a ProcFs) -> Result<Self, ProcFsError> {
        let mountinfo = proc.mountinfo()?;
        let mounts = Mounts::parse(&mountinfo);
        let looks = mounts.0.iter().map(|_| OnceCell::new()).collect();
        Ok(Self {
            proc,
            mountinfo,
            mounts,
            looks,
            redirected: OnceCell::new(),
            denied: OnceCell::new(),
            budgets: RefCell::default(),
        })
    }

    /// Whether anything but the root file system is mounted at, above or below `path`.
    pub(crate) fn touch(&self, path: &[u8]) -> bool {
        self.mounts.touch(path)
    }

    /// How the place `path`, or one to be made there, lies to the volumes; it is reached through the mount
    /// `id`.
    pub(crate) fn situation(
        &self,
        path: &[u8],
        id: u64,
        denials: &Denials,
    ) -> Result<Situation, ProcFsError> {
        let Some(at) = self.number(id) else {
            return Ok(Situation::Closed);
        };
        let mount = &self.mounts.0[at];
        let (mut is_above_volume, mut is_above_closed) = (false, false);
        for look in self.below(path).map(|at| self.look(at)) {
            is_above_volume |= matches!(look, Look::Open(..));
            is_above_closed |= matches!(look, Look::Closed | Look::Large);
        }
        Ok(if is_above_closed {
            Situation::Closed
        } else if mount.is_root() && !is_above_volume {
            Situation::Image
        } else if mount.is_root() || self.may_serve(at, path, denials)? {
            Situation::Volume
        } else {
            Situation::Closed
        })
    }

    /// Whether the place `path` on mount number `at` may be opened up.
    fn may_serve(&self, at: usize, path: &[u8], denials: &Denials) -> Result<bool, ProcFsError> {
        let is_open = matches!(self.look(at), Look::Open(..) | Look::Large);
        match self.mounts.0[at].location(path) {
            Some(place) if is_open && !self.redirected().is_in_system(path) => {
                Ok(!self.leads_to_shut(&place) && !self.is_denied(&place, denials)?)
            }
            _ => Ok(false),
        }
    }

    /// Whether a rule for the fixed place `path`, which is reached through the mount `id`, would open what
    /// must stay shut: that hangs on the volume that the place lies on, perhaps by another name.
    pub(crate) fn betrays(&self, path: &[u8], id: u64) -> bool {
        let mount = self.number(id).map(|at| &self.mounts.0[at]);
        let volume = mount.filter(|mount| !mount.is_root() && is_volume(mount));
        let place = volume.and_then(|mount| mount.location(path));
        place.is_some_and(|place| self.is_above(&place, |look| matches!(look, Look::Closed)))
    }

    fn number(&self, id: u64) -> Option<usize> {
        self.mounts.0.iter().position(|mount| mount.id == id)
    }

    /// The numbers of the mounts below `path`, without one at it.
    fn below(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let is_below = move |point: &[u8]| point != path && at_or_below(point, path);
        let mounts = self.mounts.0.iter().enumerate();
        mounts.filter_map(move |(at, mount)| is_below(&mount.point).then_some(at))
    }

    /// Whether what must stay shut hangs below `place`, through whichever mount.
    fn leads_to_shut(&self, place: &Location) -> bool {
        self.is_above(place, |look| matches!(look, Look::Closed | Look::Large))
    }

    /// Whether a mount that looks like `what` hangs below `place`.
    fn is_above(&self, place: &Location, what: impl Fn(&Look) -> bool) -> bool {
        let hangs_there = |at| self.mounts.hooks(at).any(|hook| hook.is_within(place));
        (0..self.looks.len()).any(|at| hangs_there(at) && what(self.look(at)))
    }

    /// Whether `place` holds what is denied, by whichever path. A mount of the secret itself under another
    /// name is the pod's own word.
    fn is_denied(&self, place: &Location, denials: &Denials) -> Result<bool, ProcFsError> {
        let denied = match self.denied.get() {
            Some(denied) => denied,
            None => {
                let volumes = self.mounts.0.iter().filter(|mount| is_volume(mount));
                let paths = denials.existing(volumes.map(|mount| &mount.point[..]))?;
                let locate = |path: &Vec<u8>| self.mounts.holding(path)?.location(path);
                let locations = paths.iter().filter_map(locate).collect();
                self.denied.get_or_init(|| locations)
            }
        };
        Ok(denied.iter().any(|denied| denied.is_below(place)))
    }

    fn redirected(&self) -> &Redirected {
        self.redirected.get_or_init(|| Redirected::find(self.proc))
    }

    fn look(&self, at: usize) -> &Look {
        self.looks[at].get_or_init(|| {
            let mount = &self.mounts.0[at];
            if !is_volume(mount) || self.redirected().claims(&mount.point) {
                return Look::Closed;
            }
            match reach(mount) {
                Some((place, status)) => look(mount, place, status, &mut self.budgets.borrow_mut()),
                None if self.mounts.is_covered(at) => Look::Hidden,
                // Somebody who shares the volume may have moved the mount point meanwhile.
                None => Look::Closed,
            }
        })
    }

    /// What `plan` allows on each volume that may be opened up as a whole: those that show neither the home,
    /// nor a deny place, nor where something hangs that must stay shut.
    pub(crate) fn grants(
        mut self,
        plan: &LaunchPlan,
        denials: &Denials,
        home: Option<&Home>,
    ) -> Result<Vec<(Vec<u8>, Grant)>, ProcFsError> {
        let mut chosen = Vec::new();
        for (at, mount) in self.mounts.0.iter().enumerate() {
            let rights = self.rights(plan.volumes, mount);
            let is_ruled_out = rights.is_empty()
                || judge::covered(&mount.point, rights, &plan.rules)
                || home.is_some_and(|home| self.shows_home(mount, home));
            if is_ruled_out || denials.forbid(&mount.point)? {
                continue;
            }
            let shown = mount.shown();
            if matches!(self.look(at), Look::Open(..))
                && !self.leads_to_shut(&shown)
                && !self.is_denied(&shown, denials)?
            {
                chosen.push((at, rights));
            }
        }
        // All of this was about mounts that do not move. One that did is not waited for.
        if self.proc.mountinfo()? != self.mountinfo {
            return Ok(Vec::new());
        }
        let grants = chosen.into_iter().filter_map(|(at, rights)| {
            let Some(Look::Open(place, status)) = self.looks[at].take() else {
                return None;
            };
            let rights = applicable(rights, &status);
            let file = status.file;
            let grant = Grant {
                place,
                file,
                rights,
            };
            Some((self.mounts.0[at].point.clone(), grant))
        });
        Ok(grants.collect())
    }

    /// What `volumes` allows on `mount`, if it may be opened up.
    fn rights(&self, volumes: Volumes, mount: &Mount) -> FsRights {
        match rights(volumes, mount) {
            rights if self.redirected().is_in_system(&mount.point) => {
                rights.intersection(FsRights::READ)
            }
            rights => rights,
        }
    }

    fn shows_home(&self, mount: &Mount, home: &Home) -> bool {
        let is_homes = |other: &&Mount| other.id == home.mount;
        at_or_below(&home.path, &mount.point)
            || (self.mounts.0.iter().find(is_homes))
                .is_some_and(|other| mount.shows(other, &home.path))
    }
}

/// The directory that `HOME` names.
pub(crate) struct Home {
    /// The kernel's path.
    pub(crate) path: Vec<u8>,
    /// The mount that it lies on.
    pub(crate) mount: u64,
}

/// The rights of `rights` that apply to a file of `status`.
pub(crate) fn applicable(rights: FsRights, status: &Status) -> FsRights {
    match status.mode & libc::S_IFMT {
        libc::S_IFDIR => rights,
        _ => rights.intersection(judge::FILE_RIGHTS),
    }
}

/// What `volumes` allows on `mount`, if it may be opened up.
fn rights(volumes: Volumes, mount: &Mount) -> FsRights {
    match (volumes, judge::volume(&mount.point)) {
        (Volumes::None, _) | (_, Err(_) | Ok(Volumes::None)) => FsRights::EMPTY,
        (Volumes::AsMounted, Ok(Volumes::AsMounted)) if mount.is_writable => {
            FsRights::READ.union(FsRights::WRITE)
        }
        _ => FsRights::READ,
    }
}

/// Whether `mount` may hold places that are opened up. One at `/home` may, but never as a whole.
fn is_volume(mount: &Mount) -> bool {
    let verdict = judge::volume(&mount.point);
    !mount.is_kernels() && matches!(verdict, Ok(_) | Err(Refusal::TooBroad))
}

/// Opens `mount`, unless something else is found where it should be.
fn reach(mount: &Mount) -> Option<(OwnedFd, Status)> {
    let point = sys::c_string(&mount.point[..]);
    // Mount points have no links on their way.
    let place = sys::open(At::Cwd, &point, libc::O_PATH, libc::RESOLVE_NO_SYMLINKS).ok()?;
    let status = sys::status(At::Dir(&place), c"").ok()?;
    (status.mount == mount.id).then_some((place, status))
}

/// Looks at what the volume `mount`, opened as `place`, holds.
fn look(mount: &Mount, place: OwnedFd, status: Status, budgets: &mut Budgets) -> Look {
    let is_projection = is_projection(mount);
    let is_directory = status.mode & libc::S_IFMT == libc::S_IFDIR;
    let is_scratch = is_directory && mount.is_in_memory() && !is_projection;
    let is_own = is_scratch && mount.is_writable;
    let budget = match is_own {
        true => &mut budgets.in_scratch,
        false => &mut budgets.elsewhere,
    };
    match look_for_token(mount, &status, is_projection, budget) {
        Found::Nothing => Look::Open(place, status),
        Found::Unfinished if is_scratch => Look::Large,
        // Nobody can write where the kubelet projects tokens: a program keeps its own here.
        Found::Token if is_own => Look::Large,
        Found::Token | Found::Unfinished => Look::Closed,
    }
}

/// Looks for a token in what may be a projection of one: in a file, in memory, in what the kubelet wrote.
fn look_for_token(
    mount: &Mount,
    status: &Status,
    is_projection: bool,
    budget: &mut Budget,
) -> Found {
    let path = &mount.point;
    match status.mode & libc::S_IFMT {
        libc::S_IFREG if status.size > tokens::LONGEST => Found::Nothing,
        libc::S_IFREG => tokens::in_file(path, budget),
        libc::S_IFDIR if mount.is_in_memory() || is_projection => {
            tokens::in_directory(path, budget)
        }
        libc::S_IFDIR | libc::S_IFSOCK => Found::Nothing,
        _ => Found::Unfinished, // a device, for one
    }
}

/// Whether the kubelet projects something there. On a disk where a program can write, the link that tells
/// may be the program's.
fn is_projection(mount: &Mount) -> bool {
    let may_be = mount.is_in_memory() || !mount.is_writable;
    mount.is_part_of_projection() || may_be && tokens::is_projection(&mount.point)
}

#[cfg(test)]
mod tests {
    use kubefence_launch_plan::FsRight;

    use super::*;

    fn only(line: &str) -> Mount {
        Mounts::parse(line.as_bytes()).0.remove(0)
    }

    #[test]
    fn rights_follow_the_plan_the_mount_and_the_place() {
        let both = FsRights::READ.union(FsRights::WRITE);
        for (point, options, under_read, as_mounted) in [
            ("/data", "rw", FsRights::READ, both),
            ("/data", "ro", FsRights::READ, FsRights::READ),
            ("/etc/config", "rw", FsRights::READ, FsRights::READ),
            ("/etc/hosts", "rw", FsRights::EMPTY, FsRights::EMPTY),
            ("/var", "rw", FsRights::EMPTY, FsRights::EMPTY),
        ] {
            let mount = only(&format!("7 1 8:1 / {point} {options} - ext4 /dev/x rw"));
            assert_eq!(rights(Volumes::None, &mount), FsRights::EMPTY);
            assert_eq!(rights(Volumes::Read, &mount), under_read, "{point}");
            assert_eq!(rights(Volumes::AsMounted, &mount), as_mounted, "{point}");
        }
        assert!(!both.contains(FsRight::MakeChar) && !both.contains(FsRight::MakeBlock));
    }

    #[test]
    fn file_systems_of_the_kernel_are_no_volumes() {
        assert!(is_volume(&only("7 1 8:1 / /data rw - ext4 /dev/x rw")));
        assert!(is_volume(&only("7 1 8:1 / /home rw - ext4 /dev/x rw")));
        assert!(!is_volume(&only("7 1 8:1 / /etc rw - ext4 /dev/x rw")));
        assert!(!is_volume(&only("7 1 8:1 / /data rw - sysfs sysfs rw")));
        assert!(!is_volume(&only("7 1 8:1 / /dev/shm rw - tmpfs shm rw")));
    }

    #[test]
    fn a_mount_that_is_not_there_is_shut_unless_another_covers_it() {
        let proc = ProcFs::open().unwrap();
        let mut table = VolumeTable::read(&proc).unwrap();
        let text = b"7 1 8:1 / / rw - ext4 /dev/x rw\n\
            8 7 8:1 / /nonexistent/x rw - ext4 /dev/x rw\n\
            4294967295 7 8:1 / /tmp rw - ext4 /dev/x rw\n\
            9 7 8:1 / /nonexistent/y/z rw - ext4 /dev/x rw\n\
            10 7 8:1 / /nonexistent/y rw - ext4 /dev/x rw\n";
        table.mounts = Mounts::parse(text);
        table.looks = table.mounts.0.iter().map(|_| OnceCell::new()).collect();
        assert!(matches!(table.look(1), Look::Closed));
        assert!(matches!(table.look(2), Look::Closed));
        assert!(matches!(table.look(3), Look::Hidden));
    }
}
