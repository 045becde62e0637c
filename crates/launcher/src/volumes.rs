//! What the plan allows on volumes: what the pod mounts besides the image.
//!
//! Invariants:
//! - A mount is what was opened at its mount point and says to be it; what another mount covers counts for
//!   nothing.
//! - Nothing is opened up that holds a service-account token, is mounted by the runtime, or could not be
//!   looked through.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::judge::{self, Refusal, at_or_below};
use kubefence_launch_plan::{FsRight, FsRights, LaunchPlan, Volumes};

use crate::deny::Denials;
use crate::errno::Errno;
use crate::mounts::{Mount, Mounts};
use crate::places::Grant;
use crate::procfs::{ProcFs, ProcFsError};
use crate::sys::{self, At, Status};
use crate::tokens::{self, Found};

/// What reading a volume means.
pub(crate) const READ: FsRights =
    FsRights::of(&[FsRight::ReadFile, FsRight::ReadDir, FsRight::Execute]);

/// What writing to a volume means besides. Device nodes are never made.
const WRITE: FsRights = FsRights::of(&[
    FsRight::WriteFile,
    FsRight::RemoveDir,
    FsRight::RemoveFile,
    FsRight::MakeDir,
    FsRight::MakeReg,
    FsRight::MakeSock,
    FsRight::MakeFifo,
    FsRight::MakeSym,
    FsRight::Refer,
    FsRight::Truncate,
]);

/// The mounts of this process, and what is known of them.
pub(crate) struct VolumeTable {
    mounts: Mounts,
    /// Looked at when first needed.
    looks: Vec<OnceCell<Look>>,
}

/// What a look at a mount showed.
enum Look {
    /// It cannot be reached, another mount covers it.
    Hidden,
    /// It is no volume, holds a token, or cannot be looked at.
    Closed,
    /// It is a volume in memory that holds too much to be looked through: places on it may be opened up, as
    /// nobody projects tokens among so much, but not all of it.
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

impl VolumeTable {
    /// Reads the mounts of this process.
    pub(crate) fn read(proc: &ProcFs) -> Result<Self, ProcFsError> {
        let mounts = Mounts::parse(&proc.mountinfo()?);
        let looks = mounts.0.iter().map(|_| OnceCell::new()).collect();
        Ok(Self { mounts, looks })
    }

    /// Whether anything but the root file system is mounted at, above or below `path`.
    pub(crate) fn touch(&self, path: &[u8]) -> bool {
        self.mounts.touch(path)
    }

    /// How the place `path`, or one to be made there, lies to the volumes; it is reached through the mount
    /// `id`.
    pub(crate) fn situation(&self, path: &[u8], id: u64) -> Situation {
        let Some(at) = self.mounts.0.iter().position(|mount| mount.id == id) else {
            return Situation::Closed;
        };
        let is_image = self.mounts.0[at].is_root();
        let may_serve = is_image || matches!(self.look(at), Look::Open(..) | Look::Large);
        let (mut is_above_volume, mut is_above_closed) = (false, false);
        for look in self.below(path).map(|at| self.look(at)) {
            is_above_volume |= matches!(look, Look::Open(..));
            is_above_closed |= matches!(look, Look::Closed | Look::Large);
        }
        if is_above_closed || !may_serve {
            Situation::Closed
        } else if is_image && !is_above_volume {
            Situation::Image
        } else {
            Situation::Volume
        }
    }

    /// The numbers of the mounts below `path`, without one at it.
    fn below(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let is_below = move |point: &[u8]| point != path && at_or_below(point, path);
        let mounts = self.mounts.0.iter().enumerate();
        mounts.filter_map(move |(at, mount)| is_below(&mount.point).then_some(at))
    }

    fn look(&self, at: usize) -> &Look {
        self.looks[at].get_or_init(|| look(&self.mounts.0[at]))
    }

    /// What `plan` allows on each volume that may be opened up as a whole: those that hold neither the home,
    /// nor a deny place, nor a mount that must stay shut.
    pub(crate) fn grants(
        self,
        plan: &LaunchPlan,
        denials: &Denials,
        home: Option<&Home>,
    ) -> Result<Vec<(Vec<u8>, Grant)>, ProcFsError> {
        let mut chosen = Vec::new();
        for (at, mount) in self.mounts.0.iter().enumerate() {
            let rights = rights(plan.volumes, mount);
            let is_ruled_out = rights.is_empty()
                || judge::covered(&mount.point, rights, &plan.rules)
                || home.is_some_and(|home| self.shows_home(mount, home));
            if is_ruled_out || denials.forbid(&mount.point)? {
                continue;
            }
            let is_closed = |at| matches!(self.look(at), Look::Closed | Look::Large);
            if matches!(self.look(at), Look::Open(..)) && !self.below(&mount.point).any(is_closed) {
                chosen.push((at, rights));
            }
        }
        let mut looks = self.looks;
        let grants = chosen.into_iter().filter_map(|(at, rights)| {
            let Some(Look::Open(place, status)) = looks[at].take() else {
                return None;
            };
            let rights = applicable(rights, &status);
            Some((self.mounts.0[at].point.clone(), Grant { place, rights }))
        });
        Ok(grants.collect())
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
        (Volumes::AsMounted, Ok(Volumes::AsMounted)) if mount.is_writable => READ.union(WRITE),
        _ => READ,
    }
}

/// Whether `mount` may hold places that are opened up. One at `/home` may, but never as a whole.
fn is_volume(mount: &Mount) -> bool {
    let verdict = judge::volume(&mount.point);
    !mount.is_kernels() && matches!(verdict, Ok(_) | Err(Refusal::TooBroad))
}

/// Opens `mount` and looks at what it holds.
fn look(mount: &Mount) -> Look {
    let point = sys::c_string(&mount.point[..]);
    let place = match sys::open(At::Cwd, &point, libc::O_PATH, libc::RESOLVE_NO_SYMLINKS) {
        Ok(place) => place,
        // Mount points have no links on their way, unless something was mounted over that.
        Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => return Look::Hidden,
        Err(_) => return Look::Closed,
    };
    match sys::status(At::Dir(&place), c"") {
        Ok(status) if status.mount != mount.id => Look::Hidden,
        Ok(status) if is_volume(mount) => match look_for_token(mount, &status) {
            Found::Nothing => Look::Open(place, status),
            Found::Unfinished if is_scratch(mount, &status) => Look::Large,
            Found::Token | Found::Unfinished => Look::Closed,
        },
        _ => Look::Closed,
    }
}

/// Looks for a token in what may be a projection of one: in a file, in memory, in what the kubelet wrote.
fn look_for_token(mount: &Mount, status: &Status) -> Found {
    let path = &mount.point;
    match status.mode & libc::S_IFMT {
        libc::S_IFREG if status.size > tokens::LONGEST => Found::Nothing,
        libc::S_IFREG => tokens::in_file(path),
        libc::S_IFDIR if mount.is_in_memory() || is_projection(mount) => tokens::in_directory(path),
        libc::S_IFDIR | libc::S_IFSOCK => Found::Nothing,
        _ => Found::Unfinished, // a device, for one
    }
}

fn is_projection(mount: &Mount) -> bool {
    mount.is_part_of_projection() || tokens::is_projection(&mount.point)
}

/// Whether programs keep in memory what they want there.
fn is_scratch(mount: &Mount, status: &Status) -> bool {
    let is_directory = status.mode & libc::S_IFMT == libc::S_IFDIR;
    is_directory && mount.is_in_memory() && !is_projection(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &str) -> Mount {
        Mounts::parse(line.as_bytes()).0.remove(0)
    }

    #[test]
    fn rights_follow_the_plan_the_mount_and_the_place() {
        let both = READ.union(WRITE);
        for (point, options, under_read, as_mounted) in [
            ("/data", "rw", READ, both),
            ("/data", "ro", READ, READ),
            ("/etc/config", "rw", READ, READ),
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
    fn a_mount_that_is_not_there_is_hidden() {
        let absent = only("7 1 8:1 / /nonexistent/x rw - ext4 /dev/x rw");
        assert!(matches!(look(&absent), Look::Hidden));
        let covered = only("4294967295 1 8:1 / /tmp rw - ext4 /dev/x rw");
        assert!(matches!(look(&covered), Look::Hidden));
    }
}
