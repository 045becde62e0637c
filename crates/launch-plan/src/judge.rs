//! Which places may become rules: verdicts on paths that the kernel resolved.
//!
//! Pure. The image decides `$HOME`, the working directory and every symlink, so a place is judged by
//! the path of the descriptor that was opened, never by the name that led there. Refusing a place
//! drops its rule, which only tightens the sandbox.
//!
//! The launcher applies these verdicts; tools that explain a profile use the same ones.
//!
//! Not here: opening places (the launcher).

use crate::{FsRight, FsRights, PathRule, Place, Volumes};

/// The rights that apply to what is no directory.
pub const FILE_RIGHTS: FsRights = FsRights::of(&[
    FsRight::Execute,
    FsRight::WriteFile,
    FsRight::ReadFile,
    FsRight::Truncate,
    FsRight::IoctlDev,
]);

/// Directories that are never granted as a whole. Below them a place may lie.
const TOO_BROAD: [&[u8]; 4] = [b"/", b"/home", b"/var", b"/var/lib"];

/// System directories: nothing in or above them is granted on the image's word.
///
/// `/var/run` and `/var/lock` are links into `/run` in most images. In the others, busybox among
/// them, they are directories, and the service-account token is mounted below the former.
const SYSTEM: [&[u8]; 12] = [
    b"/etc",
    b"/usr",
    b"/bin",
    b"/sbin",
    b"/proc",
    b"/sys",
    b"/dev",
    b"/boot",
    b"/run",
    b"/nono",
    b"/var/run",
    b"/var/lock",
];

/// Directories in which no program file is granted on the image's word.
const NO_PROGRAMS: [&[u8]; 3] = [b"/proc", b"/sys", b"/dev"];

/// Where no volume of the pod is mounted: what lies there belongs to the kernel, to the runtime, to
/// kubefence, or is a secret.
const NO_VOLUMES: [&[u8]; 10] = [
    b"/proc",
    b"/sys",
    b"/dev",
    b"/nono",
    b"/run/secrets",
    b"/var/run/secrets",
    b"/etc/hosts",
    b"/etc/hostname",
    b"/etc/resolv.conf",
    b"/run/.containerenv",
];

/// Why a place is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel knows no path for it: a pipe, for one.
    Unreachable,
    /// It was deleted.
    Deleted,
    /// It holds too much.
    TooBroad,
    /// It lies in or above a system directory.
    System,
    /// It is no program file.
    NoProgram,
}

/// Whether `path` is `base` or lies below it, by components.
pub fn at_or_below(path: &[u8], base: &[u8]) -> bool {
    match path.strip_prefix(base) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || base == b"/",
        None => false,
    }
}

/// Judges a place that the image chose, by its resolved `path`. What the plan
/// denies and what is mounted there is for `deny` and `mounts` to say.
pub fn untrusted(path: &[u8]) -> Result<(), Refusal> {
    reachable(path)?;
    if TOO_BROAD.contains(&path) {
        return Err(Refusal::TooBroad);
    }
    if SYSTEM.iter().any(|system| related(path, system)) || in_library(path) {
        return Err(Refusal::System);
    }
    Ok(())
}

/// Judges what is mounted at `point`: the most that a plan can allow there, if it is a volume at all. What
/// it holds is for the launcher to find out.
pub fn volume(point: &[u8]) -> Result<Volumes, Refusal> {
    reachable(point)?;
    if TOO_BROAD.contains(&point) {
        return Err(Refusal::TooBroad);
    }
    let is_within = |dirs: &[&[u8]]| dirs.iter().any(|dir| at_or_below(point, dir));
    if SYSTEM.contains(&point) || is_within(&NO_VOLUMES) {
        return Err(Refusal::System);
    }
    match is_within(&SYSTEM) || in_library(point) {
        true => Ok(Volumes::Read),
        false => Ok(Volumes::AsMounted),
    }
}

/// Judges the program file that is about to be executed, with its `st_mode`: it may lie in a system
/// directory.
pub fn entrypoint(path: &[u8], mode: u32) -> Result<(), Refusal> {
    const FILE_TYPE: u32 = 0o170_000;
    const REGULAR_FILE: u32 = 0o100_000;
    reachable(path)?;
    let is_program = mode & FILE_TYPE == REGULAR_FILE && mode & 0o111 != 0;
    if !is_program || NO_PROGRAMS.iter().any(|dir| at_or_below(path, dir)) {
        return Err(Refusal::NoProgram);
    }
    Ok(())
}

/// Whether a rule of the plan for an absolute path already grants `rights` at `resolved`, so that a
/// place that the image chose there needs no rule of its own.
///
/// The covering rule is looked up by the resolved path, so no link can stand in between.
pub fn covered(resolved: &[u8], rights: FsRights, rules: &[PathRule]) -> bool {
    fixed(rules).any(|(base, granted)| at_or_below(resolved, base) && granted.contains_all(rights))
}

/// Whether something at `resolved` would be reachable through a rule for an absolute path.
pub fn opened_up(resolved: &[u8], rules: &[PathRule]) -> bool {
    fixed(rules).any(|(base, _)| at_or_below(resolved, base))
}

fn fixed(rules: &[PathRule]) -> impl Iterator<Item = (&[u8], FsRights)> {
    rules.iter().filter_map(|rule| match &rule.path {
        Place::Absolute(base) => Some((base.as_bytes(), rule.rights)),
        Place::Below(..) => None,
    })
}

/// Whether `path` is where the runtime puts secrets: below `/run`, or `/var/run` where that is a
/// directory of its own.
pub fn in_run(path: &[u8]) -> bool {
    at_or_below(path, b"/run") || at_or_below(path, b"/var/run")
}

fn reachable(path: &[u8]) -> Result<(), Refusal> {
    if !path.starts_with(b"/") {
        return Err(Refusal::Unreachable); // such as `pipe:[…]`
    }
    if path.ends_with(b" (deleted)") {
        return Err(Refusal::Deleted); // also a file that is really called so
    }
    Ok(())
}

/// Whether one of the two contains the other.
pub fn related(path: &[u8], other: &[u8]) -> bool {
    at_or_below(path, other) || at_or_below(other, path)
}

/// `/lib*`: `/lib64`, `/libx32`, and what else begins so.
fn in_library(path: &[u8]) -> bool {
    path.starts_with(b"/lib")
}

#[cfg(test)]
mod tests;
