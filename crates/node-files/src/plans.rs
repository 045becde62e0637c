//! The plans in the launcher's directory, which containers mount: publishing them, and looking them up.
//!
//! ```text
//! plans/<sha256>.json           content-addressed, never changed once written
//! profiles/NAME.json  ->  ../plans/<sha256>.json
//! ```
//!
//! Files and links are put in place by rename, so a launcher that starts meanwhile sees the old plan
//! or the new one. Links are renamed last, when everything else has been written: a full disk or a directory that
//! cannot be written changes nothing. Old plans stay: containers may still refer to them. The link of a profile that is gone goes,
//! and then the launcher refuses its name.

mod lookup;

use std::collections::BTreeSet;
use std::fs::{self, File, FileType, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kubefence_launch_plan::{EncodedPlan, PLANS_DIR, PROFILES_DIR, ProfileName};

pub use lookup::{Flaw, LookupError, Published, available, lookup};

/// Why plans could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The directory cannot be written. Nothing has changed for any profile.
    #[error(
        "cannot write {path}: make the launcher's directory writable for root; until then, every profile stays as \
         it was published last"
    )]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else is where a directory or a link of ours belongs. Nothing has changed for any profile.
    #[error(
        "{path} is {found}, and {expected} belongs there: move it away; until then, every profile stays as it was published last"
    )]
    Taken {
        /// What is in the way.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A link cannot be replaced. Those of other profiles may have been.
    #[error(
        "cannot replace {link}: remove what is there; until then, launchers find no new plan under {}, but the new \
         plans under all other names, while records still name the previous ones",
        names(.behind)
    )]
    Replace {
        /// The link.
        link: PathBuf,
        /// The profiles whose links do not lead to their new plans.
        behind: Vec<ProfileName>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Links of profiles that are gone cannot be removed. The new plans of all others are in place.
    #[error(
        "cannot clear {path} of profiles that are gone: make the launcher's directory writable for root; \
         until then, launchers find the old plans of these, and the new ones of all others"
    )]
    Prune {
        /// The link, or the directory of links.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn names(names: &[ProfileName]) -> String {
    let names: Vec<&str> = names.iter().map(ProfileName::as_str).collect();
    names.join(", ")
}

/// A link that is ready to be put in place.
struct Staged<'a> {
    name: &'a ProfileName,
    temporary: PathBuf,
    link: PathBuf,
}

/// Publishes `plans` in `dir`, each under its profile's name.
///
/// # Errors
///
/// Fails where `dir` cannot be written; the error says for which profiles the new plans count then.
pub fn publish<'a>(
    plans: impl IntoIterator<Item = (&'a ProfileName, &'a EncodedPlan)>,
    dir: &Path,
) -> Result<(), PublishError> {
    let plans: Vec<_> = plans.into_iter().collect();
    check_free(plans.iter().map(|(name, _)| *name), dir)?;
    let (files, profiles) = (dir.join(PLANS_DIR), dir.join(PROFILES_DIR));
    for directory in [&files, &profiles] {
        create_dir(directory).map_err(write_error(directory))?;
    }
    let mut staged = Vec::new();
    for (name, plan) in plans {
        let file = files.join(format!("{}.json", plan.digest));
        write_plan(&files, &file, plan).map_err(write_error(&file))?;
        let link = profiles.join(format!("{name}.json"));
        let target = format!("../{PLANS_DIR}/{}.json", plan.digest);
        let temporary = stage(&link, &target).map_err(write_error(&link))?;
        staged.extend(temporary.map(|temporary| Staged {
            name,
            temporary,
            link,
        }));
    }
    replace(&staged)
}

/// Checks that in `dir`, plans could be published under some names without taking the place of what is somebody else's.
///
/// # Errors
///
/// Fails with the first thing that is in the way.
pub fn check_free<'a>(
    names: impl IntoIterator<Item = &'a ProfileName>,
    dir: &Path,
) -> Result<(), PublishError> {
    let profiles = dir.join(PROFILES_DIR);
    for path in [dir.join(PLANS_DIR), profiles.clone()] {
        if kind_of(&path).is_some_and(|kind| kind.is_symlink()) {
            return Err(PublishError::Taken {
                path,
                found: "a link",
                expected: "a directory",
            });
        }
    }
    for name in names {
        let path = profiles.join(format!("{name}.json"));
        if kind_of(&path).is_some_and(|kind| kind.is_file()) {
            return Err(PublishError::Taken {
                path,
                found: "a file",
                expected: "a link to a plan",
            });
        }
    }
    Ok(())
}

fn kind_of(path: &Path) -> Option<FileType> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(metadata.file_type())
}

/// Puts links in place, as many as can be.
fn replace(staged: &[Staged<'_>]) -> Result<(), PublishError> {
    let mut failed = None;
    let mut behind = Vec::new();
    for Staged {
        name,
        temporary,
        link,
    } in staged
    {
        if let Err(source) = fs::rename(temporary, link) {
            // The next attempt removes it, too.
            let _ = fs::remove_file(temporary);
            behind.push((*name).clone());
            failed.get_or_insert((link.clone(), source));
        }
    }
    match failed {
        None => Ok(()),
        Some((link, source)) => Err(PublishError::Replace {
            link,
            behind,
            source,
        }),
    }
}

/// Removes the links of all profiles but those of `keep`. Touches nothing that is no such link.
///
/// # Errors
///
/// Fails where `dir` cannot be read or written.
pub fn prune(keep: &BTreeSet<&ProfileName>, dir: &Path) -> Result<(), PublishError> {
    let profiles = dir.join(PROFILES_DIR);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PublishError::Prune { path, source }
    };
    for link in stale_links(keep, &profiles).map_err(failed(&profiles))? {
        fs::remove_file(&link).map_err(failed(&link))?;
    }
    Ok(())
}

fn stale_links(keep: &BTreeSet<&ProfileName>, profiles: &Path) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    for entry in fs::read_dir(profiles)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
        let Some(name) = name.and_then(|name| ProfileName::parse(name).ok()) else {
            continue;
        };
        if entry.file_type()?.is_symlink() && !keep.contains(&name) {
            stale.push(entry.path());
        }
    }
    Ok(stale)
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    move |source| PublishError::Write { path, source }
}

/// Containers of any user read the plans, so modes must not depend on the umask.
fn create_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        result => result?,
    }
    set_mode(dir, 0o755)?;
    // What an interrupted run left behind.
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Changes a mode only if it is another one: the directory may be read-only and right already.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn write_plan(plans: &Path, file: &Path, plan: &EncodedPlan) -> io::Result<()> {
    if fs::read(file).is_ok_and(|found| found == plan.bytes) {
        return set_mode(file, 0o644);
    }
    let temporary = plans.join(format!(".{}.{}", plan.digest, std::process::id()));
    let mut out = File::create(&temporary)?;
    out.set_permissions(Permissions::from_mode(0o644))?;
    out.write_all(&plan.bytes)?;
    out.sync_all()?;
    fs::rename(&temporary, file)
}

/// Makes a link to `target` beside `link`, unless `link` is one already.
fn stage(link: &Path, target: &str) -> io::Result<Option<PathBuf>> {
    if fs::read_link(link).is_ok_and(|found| found == Path::new(target)) {
        return Ok(None);
    }
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let temporary = link.with_file_name(format!(".{name}.{}", std::process::id()));
    symlink(target, &temporary)?;
    Ok(Some(temporary))
}

#[cfg(test)]
mod tests;
