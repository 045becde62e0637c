//! Whether this node can sandbox at all.
//!
//! While it cannot, the plugin stays registered and refuses the containers of its handlers: a
//! plugin that is absent would let the runtime start them bare.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use kubefence_profile::Catalog;

use crate::config::{Config, LauncherKind};
use crate::decision::Profiles;
use crate::plans;

/// Longest wait for a check that somebody else makes. Publishing plans takes milliseconds; a disk that is
/// stuck must not take the handlers' threads one by one.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks the kernel for its Landlock ABI; 0 means none.
pub type AbiProbe = fn() -> u32;

/// What is checked before containers can be sandboxed.
#[derive(Debug)]
pub struct Readiness {
    config: Config,
    catalog: Catalog,
    abi: AbiProbe,
    profiles: Mutex<Option<Profiles>>,
}

impl Readiness {
    /// Nothing is checked yet.
    pub fn new(config: Config, catalog: Catalog, abi: AbiProbe) -> Self {
        Self {
            config,
            catalog,
            abi,
            profiles: Mutex::new(None),
        }
    }

    /// The profiles that containers can be given, once everything is in place; otherwise why not.
    ///
    /// What was missing is looked for again at every call, so a node becomes ready without a
    /// restart; what was found is not checked again.
    pub fn profiles(&self) -> anyhow::Result<Profiles> {
        let mut profiles = self.lock()?;
        if let Some(profiles) = &*profiles {
            return Ok(profiles.clone());
        }
        let checked = self.check()?;
        *profiles = Some(checked.clone());
        Ok(checked)
    }

    fn lock(&self) -> anyhow::Result<MutexGuard<'_, Option<Profiles>>> {
        let start = Instant::now();
        loop {
            match self.profiles.try_lock() {
                Ok(profiles) => return Ok(profiles),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => anyhow::bail!(
                    "plans are still being written to {}: look whether its disk answers",
                    self.config.launcher_dir.as_str()
                ),
            }
        }
    }

    fn check(&self) -> anyhow::Result<Profiles> {
        anyhow::ensure!(
            (self.abi)() > 0,
            "this node's kernel has no Landlock: boot with `lsm=landlock,…` on Linux 5.13 or later"
        );
        let dir = self.config.launcher_dir.to_path();
        let launcher = dir.join("nono");
        let executable = fs::metadata(&launcher)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 == 0o111);
        anyhow::ensure!(
            executable,
            "{} is not an executable file: install the launcher there or set nono_bin_path",
            launcher.display()
        );
        let traversable =
            fs::metadata(&dir).is_ok_and(|dir| dir.permissions().mode() & 0o055 == 0o055);
        anyhow::ensure!(
            traversable,
            "{} cannot be entered by all users: give it mode 0755",
            dir.display()
        );
        Ok(match self.config.launcher {
            LauncherKind::Kubefence => Profiles::Known(plans::publish(&self.catalog, &dir)?),
            LauncherKind::Upstream => Profiles::LauncherDecides,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn readiness(dir: &Path, abi: AbiProbe) -> Readiness {
        let config = format!("nono_bin_path = \"{}/nono\"", dir.display());
        let config = Config::parse(Path::new("c"), &config).unwrap();
        Readiness::new(config, Catalog::built_in().unwrap(), abi)
    }

    fn install(dir: &Path, mode: u32) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join("nono"), "launcher").unwrap();
        fs::set_permissions(dir.join("nono"), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_kernel_without_landlock_is_never_ready() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), 0o755);
        let error = readiness(dir.path(), || 0).profiles().unwrap_err();
        assert!(error.to_string().contains("has no Landlock"), "{error}");
    }

    #[test]
    fn a_launcher_that_arrives_late_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let readiness = readiness(dir.path(), || 1);
        assert!(
            readiness
                .profiles()
                .unwrap_err()
                .to_string()
                .contains("nono is not an executable file")
        );
        install(dir.path(), 0o700);
        assert!(
            readiness.profiles().is_err(),
            "other users' containers could not execute it"
        );
        install(dir.path(), 0o755);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(
            readiness.profiles().is_err(),
            "other users' containers could not reach it"
        );
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(readiness.profiles().unwrap(), Profiles::Known(_)));
        assert!(dir.path().join("profiles/default.json").exists());
    }
}
