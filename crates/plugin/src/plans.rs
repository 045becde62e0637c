//! Publishing plans: every profile compiled into the directory that containers mount.
//!
//! ```text
//! plans/<sha256>.json           content-addressed, never changed once written
//! profiles/NAME.json  ->  ../plans/<sha256>.json
//! ```
//!
//! Files and links are put in place by rename, so a launcher that starts meanwhile sees the old plan
//! or the new one. Old plans stay: containers may still refer to them.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kubefence_profile::{
    Catalog, CompileOptions, EncodedPlan, PLANS_DIR, PROFILES_DIR, PlanDigest, ProfileName,
};

/// Why plans could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A profile contradicts itself.
    #[error("profile {profile} does not compile")]
    Compile {
        /// The profile.
        profile: ProfileName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
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

/// Compiles all of `catalog` into `dir` and returns each profile's plan.
pub fn publish(
    catalog: &Catalog,
    dir: &Path,
) -> Result<BTreeMap<ProfileName, PlanDigest>, PublishError> {
    let (plans, profiles) = (dir.join(PLANS_DIR), dir.join(PROFILES_DIR));
    for directory in [&plans, &profiles] {
        create_dir(directory).map_err(write_error(directory))?;
    }
    let mut published = BTreeMap::new();
    for profile in catalog.iter() {
        let Ok(plan) = profile.compile(&CompileOptions::default()) else {
            continue;
        };
        let plan = plan.encode().map_err(|e| PublishError::Compile {
            profile: profile.name.clone(),
            source: e.into(),
        })?;
        let file = plans.join(format!("{}.json", plan.digest));
        write_plan(&plans, &file, &plan).map_err(write_error(&file))?;
        let link = profiles.join(format!("{}.json", profile.name));
        let target = format!("../{PLANS_DIR}/{}.json", plan.digest);
        point(&link, &target).map_err(write_error(&link))?;
        published.insert(profile.name.clone(), plan.digest);
    }
    Ok(published)
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
mod tests {
    use super::*;

    fn publish_into(dir: &Path) -> BTreeMap<ProfileName, PlanDigest> {
        publish(&Catalog::built_in().unwrap(), dir).unwrap()
    }

    #[test]
    fn a_profile_name_leads_to_its_plan() {
        let dir = tempfile::tempdir().unwrap();
        let published = publish_into(dir.path());
        for (name, digest) in published {
            let link = dir.path().join(format!("profiles/{name}.json"));
            assert_eq!(
                fs::read_link(&link).unwrap(),
                Path::new(&format!("../plans/{digest}.json"))
            );
            let plan = kubefence_profile::LaunchPlan::decode(&fs::read(&link).unwrap()).unwrap();
            assert_eq!(plan.profile, name);
            assert_eq!(
                fs::metadata(&link).unwrap().permissions().mode() & 0o777,
                0o644
            );
        }
        let leftovers = fs::read_dir(dir.path().join("plans")).unwrap().count();
        assert_eq!(leftovers, Catalog::built_in().unwrap().iter().count());
    }

    #[test]
    fn publishing_repairs_and_is_idempotent() {
        let dir = tempfile::tempdir().unwrap();
        let first = publish_into(dir.path());
        let link = dir.path().join("profiles/default.json");
        let intact = fs::read(&link).unwrap();
        fs::write(
            dir.path()
                .join("profiles")
                .join(fs::read_link(&link).unwrap()),
            "{ trunc",
        )
        .unwrap();
        assert_eq!(publish_into(dir.path()), first);
        assert_eq!(
            fs::read(&link).unwrap(),
            intact,
            "a damaged plan was not written again"
        );
        fs::set_permissions(&link, Permissions::from_mode(0o600)).unwrap();
        fs::write(dir.path().join("plans/.left-behind"), "").unwrap();
        publish_into(dir.path());
        assert_eq!(
            fs::metadata(&link).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert!(!dir.path().join("plans/.left-behind").exists());
        fs::remove_file(&link).unwrap();
        symlink("../../etc/passwd", &link).unwrap();
        assert_eq!(publish_into(dir.path()), first);
        assert_eq!(
            fs::read(&link).unwrap(),
            intact,
            "a redirected profile was not put right"
        );
    }

    #[test]
    fn an_unusable_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plans"), "a file").unwrap();
        let error = publish(&Catalog::built_in().unwrap(), dir.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("plans: make the directory of nono_bin_path writable"),
            "{error}"
        );
    }
}
