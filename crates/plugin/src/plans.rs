//! Publishing plans into the directory that containers mount.
//!
//! ```text
//! plans/<sha256>.json           content-addressed, never changed once written
//! profiles/NAME.json  ->  ../plans/<sha256>.json
//! ```
//!
//! Files and links are put in place by rename, so a launcher that starts meanwhile sees the old plan
//! or the new one. Old plans stay: containers may still refer to them. The link of a profile that is gone goes,
//! and then the launcher refuses its name.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kubefence_profile::{EncodedPlan, PLANS_DIR, PROFILES_DIR, ProfileName};

/// Why plans could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The directory cannot be written.
    #[error("cannot write {path}: make the directory of nono_bin_path writable for the plugin")]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Publishes `plans` in `dir`, each under its profile's name.
///
/// # Errors
///
/// Fails where `dir` cannot be written; what was published until then stays.
pub fn publish<'a>(
    plans: impl IntoIterator<Item = (&'a ProfileName, &'a EncodedPlan)>,
    dir: &Path,
) -> Result<(), PublishError> {
    let (files, profiles) = (dir.join(PLANS_DIR), dir.join(PROFILES_DIR));
    for directory in [&files, &profiles] {
        create_dir(directory).map_err(write_error(directory))?;
    }
    for (name, plan) in plans {
        let file = files.join(format!("{}.json", plan.digest));
        write_plan(&files, &file, plan).map_err(write_error(&file))?;
        let link = profiles.join(format!("{name}.json"));
        let target = format!("../{PLANS_DIR}/{}.json", plan.digest);
        point(&link, &target).map_err(write_error(&link))?;
    }
    Ok(())
}

/// Removes the links of all profiles but those of `keep`. Touches nothing that is no such link.
///
/// # Errors
///
/// Fails where `dir` cannot be read or written.
pub fn prune(keep: &BTreeSet<&ProfileName>, dir: &Path) -> Result<(), PublishError> {
    let profiles = dir.join(PROFILES_DIR);
    for link in stale_links(keep, &profiles).map_err(write_error(&profiles))? {
        fs::remove_file(&link).map_err(write_error(&link))?;
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

fn point(link: &Path, target: &str) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|found| found == Path::new(target)) {
        return Ok(());
    }
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let temporary = link.with_file_name(format!(".{name}.{}", std::process::id()));
    symlink(target, &temporary)?;
    fs::rename(&temporary, link)
}

#[cfg(test)]
mod tests;
