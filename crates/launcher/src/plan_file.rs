//! Finding and reading the plan beside the launcher.
//!
//! Invariants:
//! - The directory is that of the executable file itself, reached through the same mount. Neither argv
//!   nor the environment nor a mount on top of the directory can lead elsewhere.
//! - Below that directory no mount is crossed, and the only link that is followed is
//!   `profiles/NAME.json -> ../plans/FILE`, and none to a plan that is asked for by its digest. It is followed by hand: the kernel's own scoped lookup
//!   (openat2 with RESOLVE_BENEATH) answers EAGAIN to a `..` while anybody on the node renames or mounts
//!   something, so another tenant could keep containers from starting.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use kubefence_launch_plan::{DecodeError, LaunchPlan, MAX_PLAN_SIZE, ProfileName};

use crate::errno::Errno;
use crate::procfs::{ProcFs, ProcFsError};
use crate::report::Shown;
use crate::sys::{self, At};

/// Longest plan, in bytes.
const MAX_SIZE: u64 = MAX_PLAN_SIZE as u64;

/// Why there is no plan to apply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlanFileError {
    #[error(transparent)]
    ProcFs(#[from] ProcFsError),
    #[error("the launcher's own path {0} has no directory: install it into one")]
    NoDirectory(Shown),
    #[error("cannot open the launcher's own directory {0}")]
    OpenDirectory(Shown, #[source] Errno),
    #[error("the launcher's own directory {0} is covered by another mount: mount nothing over it")]
    Covered(Shown),
    #[error(
        "profile \"{profile}\" has no plan {path}: name an installed profile or install this one on the node"
    )]
    NoPlan { profile: ProfileName, path: Shown },
    #[error("cannot open the plan {0}")]
    Open(Shown, #[source] Errno),
    #[error("the plan {0} is a link to {1}, not to a file of ../plans: install it again")]
    Link(Shown, Shown),
    #[error("cannot read the plan {0}")]
    Read(Shown, #[source] Errno),
    #[error("the plan {0} is not a regular file: install it again")]
    NotRegular(Shown),
    #[error("the plan {0} has more than {MAX_SIZE} bytes: install it again")]
    TooBig(Shown),
    #[error("the plan {0} cannot be applied")]
    Decode(Shown, #[source] DecodeError),
    #[error("the plan {path} is that of profile \"{found}\": install it again")]
    OtherProfile { path: Shown, found: ProfileName },
}

/// The directory of the executable.
pub(crate) struct OwnDirectory {
    /// Opened with O_PATH.
    pub(crate) dir: OwnedFd,
    path: Vec<u8>,
}

/// Reads the plan of `profile` from `own`: the one that its name leads to, or the one of that `digest`.
pub(crate) fn read(
    own: &OwnDirectory,
    profile: &ProfileName,
    digest: Option<&str>,
) -> Result<LaunchPlan, PlanFileError> {
    let OwnDirectory {
        dir,
        path: dir_path,
    } = own;
    let name = match digest {
        Some(digest) => format!("plans/{digest}.json"),
        None => format!("profiles/{profile}.json"),
    };
    let path = Shown::new(&[&dir_path[..], b"/", name.as_bytes()].concat());
    let opened = match digest {
        Some(_) => open_file(dir, &sys::c_string(name), &path),
        None => open_link(dir, &name, &path),
    };
    let file = opened.map_err(|error| match error {
        PlanFileError::Open(path, Errno(libc::ENOENT)) => PlanFileError::NoPlan {
            profile: profile.clone(),
            path,
        },
        error => error,
    })?;
    let bytes = read_bounded(file, &path)?;
    let plan = LaunchPlan::decode(&bytes).map_err(|e| PlanFileError::Decode(path.clone(), e))?;
    if plan.profile != *profile {
        let found = plan.profile;
        return Err(PlanFileError::OtherProfile { path, found });
    }
    Ok(plan)
}

/// Opens the plan that the link `name` of the directory `dir` leads to, or the plan `name` itself; `path` is the
/// full path of `name`, for errors.
fn open_link(dir: &OwnedFd, name: &str, path: &Shown) -> Result<OwnedFd, PlanFileError> {
    let fail = |errno| PlanFileError::Read(path.clone(), errno);
    let name = sys::c_string(name);
    let entry = open(dir, &name, libc::O_PATH | libc::O_NOFOLLOW, path)?;
    let status = sys::status(At::Dir(&entry), c"").map_err(fail)?;
    if status.mode & libc::S_IFMT != libc::S_IFLNK {
        return open_file(dir, &name, path);
    }
    let target = sys::read_link(At::Dir(&entry), c"").map_err(fail)?;
    match link_target(&target) {
        Some(plan) => open_file(dir, &sys::c_string(plan), path),
        None => Err(PlanFileError::Link(path.clone(), Shown::new(&target))),
    }
}

/// Opens the plan `name`, which no link leads to.
fn open_file(dir: &OwnedFd, name: &CStr, path: &Shown) -> Result<OwnedFd, PlanFileError> {
    let readable = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    open(dir, name, readable, path)
}

fn open(dir: &OwnedFd, name: &CStr, flags: i32, path: &Shown) -> Result<OwnedFd, PlanFileError> {
    let inside = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_SYMLINKS;
    sys::open(At::Dir(dir), name, flags, inside)
        .map_err(|errno| PlanFileError::Open(path.clone(), errno))
}

/// The path from the launcher's directory of the plan that a link in `profiles` leads to.
fn link_target(target: &[u8]) -> Option<&[u8]> {
    let path = target.strip_prefix(b"../")?;
    let file = path.strip_prefix(b"plans/")?;
    let is_name = !file.is_empty() && !file.contains(&b'/') && file != b".." && file != b".";
    is_name.then_some(path)
}

/// Opens the directory of the executable.
pub(crate) fn own_directory(proc: &ProcFs) -> Result<OwnDirectory, PlanFileError> {
    let (executable, status) = proc.executable()?;
    let dir_path = directory_of(&executable)
        .ok_or_else(|| PlanFileError::NoDirectory(Shown::new(&executable)))?;
    let shown = || Shown::new(dir_path);
    let fail = |errno| PlanFileError::OpenDirectory(shown(), errno);
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let c_path = sys::c_string(dir_path);
    let dir = sys::open(At::Cwd, &c_path, flags, libc::RESOLVE_NO_MAGICLINKS).map_err(fail)?;
    // The kernel names the executable by the path below its mount, even when another mount has since
    // been put over that path.
    if sys::status(At::Dir(&dir), c"").map_err(fail)?.mount != status.mount {
        return Err(PlanFileError::Covered(shown()));
    }
    let path = dir_path.to_vec();
    Ok(OwnDirectory { dir, path })
}

/// The directory part of an absolute path. A ` (deleted)` at its end belongs to the file name.
fn directory_of(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|b| *b == b'/')?;
    match (path.first(), slash) {
        (Some(b'/'), 0) => Some(b"/"),
        (Some(b'/'), slash) => Some(&path[..slash]),
        _ => None,
    }
}

fn read_bounded(file: OwnedFd, path: &Shown) -> Result<Vec<u8>, PlanFileError> {
    let fail = |errno| PlanFileError::Read(path.clone(), errno);
    let status = sys::status(At::Dir(&file), c"").map_err(fail)?;
    if status.mode & libc::S_IFMT != libc::S_IFREG {
        return Err(PlanFileError::NotRegular(path.clone()));
    }
    if status.size > MAX_SIZE {
        return Err(PlanFileError::TooBig(path.clone()));
    }
    let mut bytes = Vec::with_capacity(status.size as usize + 1);
    let read = File::from(file).take(MAX_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| fail(Errno::of(&error)))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(PlanFileError::TooBig(path.clone()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_that_of_the_executable() {
        let cases: [(&[u8], Option<&[u8]>); 6] = [
            (b"/nono/nono", Some(b"/nono")),
            (b"/nono/nono (deleted)", Some(b"/nono")),
            (b"/a/b/\xff", Some(b"/a/b")),
            (b"/nono", Some(b"/")),
            (b"(unreachable)/nono", None),
            (b"", None),
        ];
        for (path, directory) in cases {
            assert_eq!(directory_of(path), directory);
        }
    }

    #[test]
    fn a_link_leads_to_a_file_of_plans_or_nowhere() {
        assert_eq!(link_target(b"../plans/a.json"), Some(&b"plans/a.json"[..]));
        for target in [
            "",
            "..",
            "../plans",
            "../plans/",
            "../plans/..",
            "../plans/.",
            "../plans/a/b",
            "../plans/../x",
            "plans/a",
            "a.json",
            "/nono/plans/a",
            "../../plans/a",
            "..//plans/a",
        ] {
            assert_eq!(link_target(target.as_bytes()), None, "{target}");
        }
    }
}
