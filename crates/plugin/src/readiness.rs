//! Whether this node can sandbox at all.
//!
//! While it cannot, the plugin stays registered and refuses the containers of its handlers: a
//! plugin that is absent would let the runtime start them bare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use kubefence_node_files::plans;
use kubefence_profile::{Abi, Catalog, ProfileName, Provenance};

use crate::config::{Config, LauncherKind};
use crate::decision::{Offer, Profiles};
use crate::findings::Reported;
use crate::profile_set::{ProfileSet, compile_options};

/// Longest wait for what somebody else does. Reading profiles and publishing plans takes milliseconds; a disk that
/// is stuck must not take the handlers' threads one by one.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks the kernel for its Landlock ABI; 0 means none.
pub type AbiProbe = fn() -> Abi;

/// What is checked before containers can be sandboxed.
#[derive(Debug)]
pub struct Readiness {
    config: Config,
    abi: AbiProbe,
    /// Held for moments only.
    state: Mutex<State>,
    /// Told when the operator's profiles were looked for.
    looked: Condvar,
    /// Held by who publishes, however long the disk takes.
    publisher: Mutex<Reported>,
}

#[derive(Debug)]
struct State {
    /// What is to be published.
    wanted: Arc<ProfileSet>,
    /// Whether the operator's profiles are in it.
    custom: Custom,
    /// What was published last.
    published: Option<Published>,
    /// Why that cannot be used, or nothing newer could be published.
    failure: Option<String>,
}

/// Containers are refused because the node cannot sandbox; the source says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node is not ready to sandbox")]
pub(crate) struct NodeNotReady;

#[derive(Debug)]
struct Published {
    set: Arc<ProfileSet>,
    /// What containers are given of it.
    profiles: Profiles,
    /// Whether all of it is still there, as far as is known.
    is_intact: bool,
}

/// How many profiles there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileCount {
    /// Those that containers can be given.
    pub usable: usize,
    /// Those that cannot be enforced here, or are broken.
    pub unusable: usize,
}

/// What is known of the operator's profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Custom {
    /// Nothing yet.
    Awaited,
    /// They could not be listed. What earlier runs published of them stays.
    Unreadable,
    /// All there is.
    Listed,
}

impl Readiness {
    /// Nothing is checked yet. If there is a directory of profiles, whoever reads it is to say so by
    /// [`Self::offer`] or [`Self::without_custom`].
    pub fn new(config: Config, catalog: Catalog, abi: AbiProbe) -> Self {
        let custom = match config.profile_dir {
            Some(_) => Custom::Awaited,
            None => Custom::Listed,
        };
        let state = State {
            wanted: Arc::new(ProfileSet::from(&catalog)),
            custom,
            published: None,
            failure: None,
        };
        Self {
            config,
            abi,
            state: Mutex::new(state),
            looked: Condvar::new(),
            publisher: Mutex::default(),
        }
    }

    /// The profiles that containers can be given, once everything is in place; otherwise why not.
    ///
    /// What was missing is looked for again at every call, so a node becomes ready without a
    /// restart. What was found is only checked again by [`Self::recheck`], because no container waits for a disk.
    pub fn profiles(&self) -> anyhow::Result<Profiles> {
        let start = Instant::now();
        if let Some(profiles) = self.published() {
            return Ok(profiles);
        }
        self.await_custom();
        let mut reported = self.publisher(start)?;
        match self.published() {
            Some(profiles) => Ok(profiles),
            None => self.publish_wanted(&mut reported),
        }
    }

    /// Whether there are profiles that containers can be given.
    pub fn is_ready(&self) -> bool {
        self.published().is_some()
    }

    /// Whether there are, and nothing of them was found damaged.
    pub fn is_intact(&self) -> bool {
        let state = self.state();
        state.published.as_ref().is_some_and(|p| p.is_intact)
    }

    /// Why containers of this node cannot be sandboxed, or not under all of its profiles; what is known of it, without
    /// a look at any disk.
    pub fn obstacle(&self) -> Option<String> {
        let state = self.state();
        if state.published.as_ref().is_some_and(|p| p.is_intact) {
            return None;
        }
        let failure = state.failure.clone();
        Some(failure.unwrap_or_else(|| {
            format!(
                "no plans are published yet: if that lasts, look whether the disk of {} answers",
                self.config.launcher_dir.as_str()
            )
        }))
    }

    /// How many profiles containers can be given, and how many exist in vain; none where the launcher knows them alone.
    pub fn count(&self) -> ProfileCount {
        let Some(Profiles::Known(offers)) = self.published() else {
            return ProfileCount::default();
        };
        let usable = offers.values().filter(|offer| offer.plan.is_ok()).count();
        ProfileCount {
            usable,
            unusable: offers.len() - usable,
        }
    }

    /// Makes `profiles` those that are to be published, and what is not among them be taken away.
    pub fn offer(&self, profiles: ProfileSet) {
        let mut state = self.state();
        state.wanted = Arc::new(profiles);
        state.custom = Custom::Listed;
        self.looked.notify_all();
    }

    /// Says that the operator's profiles cannot be listed: nobody need wait for them.
    pub fn without_custom(&self) {
        let mut state = self.state();
        if state.custom == Custom::Awaited {
            state.custom = Custom::Unreadable;
        }
        self.looked.notify_all();
    }

    /// Publishes what was offered last, unless it is published already. Until that is done, containers are
    /// given what was published before, and afterwards all of the new at once.
    ///
    /// # Errors
    ///
    /// Fails if this node cannot sandbox, or if plans cannot be written.
    pub fn publish(&self) -> anyhow::Result<Profiles> {
        let mut reported = self
            .publisher
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let current = {
            let state = self.state();
            let published = state.published.as_ref();
            published
                .filter(|p| p.is_intact && Arc::ptr_eq(&p.set, &state.wanted))
                .map(|p| p.profiles.clone())
        };
        match current {
            Some(profiles) => Ok(profiles),
            None => self.publish_wanted(&mut reported),
        }
    }

    /// Looks whether what was published is still there; returns what was found damaged since the last look.
    /// Containers that need it are refused from now on, until it has been published again.
    pub fn recheck(&self) -> Vec<String> {
        // Nobody may publish meanwhile.
        let _publisher = self
            .publisher
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(profiles) = self.published() else {
            return Vec::new();
        };
        let dir = self.config.launcher_dir.to_path();
        if let Err(error) = check_node((self.abi)(), &dir) {
            let reason = format!("{error:#}");
            let mut state = self.state();
            state.published = None;
            state.failure = Some(reason.clone());
            return vec![reason];
        }
        let Profiles::Known(mut offers) = profiles else {
            return Vec::new();
        };
        let damaged = damaged(&offers, &dir);
        for (name, reason) in &damaged {
            if let Some(offer) = Arc::make_mut(&mut offers).get_mut(name) {
                offer.plan = Err(reason.clone());
            }
        }
        let damaged: Vec<String> = damaged.into_values().collect();
        let mut state = self.state();
        if !damaged.is_empty()
            && let Some(published) = &mut state.published
        {
            published.profiles = Profiles::Known(offers);
            published.is_intact = false;
            state.failure = Some(damaged.join("; "));
        }
        damaged
    }

    fn published(&self) -> Option<Profiles> {
        let state = self.state();
        state.published.as_ref().map(|p| p.profiles.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first look at the operator's profiles, but not for ever.
    fn await_custom(&self) {
        let waited = self
            .looked
            .wait_timeout_while(self.state(), PATIENCE, |state| {
                state.custom == Custom::Awaited
            });
        drop(waited);
    }

    fn publisher(&self, start: Instant) -> anyhow::Result<MutexGuard<'_, Reported>> {
        loop {
            match self.publisher.try_lock() {
                Ok(publisher) => return Ok(publisher),
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

    fn publish_wanted(&self, reported: &mut Reported) -> anyhow::Result<Profiles> {
        let outcome = self.try_publish(reported);
        self.state().failure = outcome.as_ref().err().map(|error| format!("{error:#}"));
        outcome
    }

    fn try_publish(&self, reported: &mut Reported) -> anyhow::Result<Profiles> {
        let (wanted, custom) = {
            let state = self.state();
            (Arc::clone(&state.wanted), state.custom)
        };
        let abi = (self.abi)();
        let dir = self.config.launcher_dir.to_path();
        check_node(abi, &dir)?;
        let profiles = match self.config.launcher {
            LauncherKind::Kubefence => {
                self.write_plans(&wanted, custom == Custom::Listed, abi, reported)?
            }
            LauncherKind::Upstream => Profiles::LauncherDecides,
        };
        self.state().published = Some(Published {
            set: wanted,
            profiles: profiles.clone(),
            is_intact: true,
        });
        Ok(profiles)
    }

    fn write_plans(
        &self,
        set: &ProfileSet,
        all: bool,
        abi: Abi,
        reported: &mut Reported,
    ) -> anyhow::Result<Profiles> {
        let compiled = set.compile(&compile_options(&self.config), abi);
        let dir = self.config.launcher_dir.to_path();
        let plans = || {
            let all = compiled.iter();
            all.filter_map(|(name, compiled)| Some((name, compiled.plan.as_ref().ok()?)))
        };
        plans::publish(plans(), &dir)?;
        if all {
            let keep: BTreeSet<_> = plans().map(|(name, _)| name).collect();
            plans::prune(&keep, &dir)?;
        }
        let relevant = compiled.iter().filter(|(name, compiled)| {
            let built_in = compiled.provenance == Provenance::BuiltIn;
            let mut handlers = self.config.runtime_classes.iter();
            handlers.any(|handler| self.config.allowed_profiles.allows(handler, name, built_in))
        });
        reported.update(relevant.flat_map(|(_, compiled)| compiled.findings.iter().cloned()));
        let offers = compiled.into_iter().map(|(name, compiled)| {
            let offer = Offer {
                provenance: compiled.provenance,
                plan: compiled.plan.map(|plan| plan.digest),
            };
            (name, offer)
        });
        Ok(Profiles::Known(Arc::new(offers.collect())))
    }
}

/// The profiles whose plans in `dir` launchers would not take, and why. A plan that is whole but another one is
/// no damage: a newer one may be there that is not published completely yet.
fn damaged(offers: &BTreeMap<ProfileName, Offer>, dir: &Path) -> BTreeMap<ProfileName, String> {
    let published = offers.iter().filter(|(_, offer)| offer.plan.is_ok());
    let broken = published.filter_map(|(name, _)| {
        let error = anyhow::Error::new(plans::lookup(dir, name).err()?);
        let reason = format!("the published plan of profile \"{name}\" is damaged: {error:#}");
        Some((name.clone(), reason))
    });
    broken.collect()
}

/// Checks the kernel, and the launcher in `dir`.
fn check_node(abi: Abi, dir: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        abi > 0,
        "this node's kernel has no Landlock: boot with `lsm=landlock,…` on Linux 5.13 or later"
    );
    let launcher = dir.join("nono");
    let executable = fs::metadata(&launcher)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 == 0o111);
    anyhow::ensure!(
        executable,
        "{} is not an executable file: install the launcher there or set nono_bin_path",
        launcher.display()
    );
    let traversable = fs::metadata(dir).is_ok_and(|dir| dir.permissions().mode() & 0o055 == 0o055);
    anyhow::ensure!(
        traversable,
        "{} cannot be entered by all users: give it mode 0755",
        dir.display()
    );
    Ok(())
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

    fn offer<'a>(profiles: &'a Profiles, name: &str) -> Option<&'a Offer> {
        let Profiles::Known(known) = profiles else {
            panic!("{profiles:?}")
        };
        known.get(&kubefence_profile::ProfileName::parse(name).unwrap())
    }

    #[test]
    fn a_profile_for_a_later_kernel_is_offered_with_the_reason_against_it() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), 0o755);
        let old = readiness(dir.path(), || 3).profiles().unwrap();
        let reason = offer(&old, "strict").unwrap().plan.as_ref().unwrap_err();
        assert!(
            reason.contains("needs Landlock ABI 4") && reason.contains("has 3"),
            "{reason}"
        );
        assert!(offer(&old, "default").unwrap().plan.is_ok());
        assert!(!dir.path().join("profiles/strict.json").exists());
        let new = readiness(dir.path(), || 4).profiles().unwrap();
        assert!(offer(&new, "strict").unwrap().plan.is_ok());
        assert!(dir.path().join("profiles/strict.json").exists());
    }

    #[test]
    fn profiles_that_never_arrive_hold_nobody_up_and_take_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), 0o755);
        fs::create_dir(dir.path().join("profiles")).unwrap();
        let link = dir.path().join("profiles/team.json");
        std::os::unix::fs::symlink("../plans/0.json", &link).unwrap();
        let there = || fs::symlink_metadata(&link).is_ok();
        let config = format!(
            "nono_bin_path = \"{}/nono\"\nprofile_dir = \"/nowhere\"",
            dir.path().display()
        );
        let config = Config::parse(Path::new("c"), &config).unwrap();
        let catalog = Catalog::built_in().unwrap();
        let readiness = Readiness::new(config, catalog.clone(), || 7);
        let early = readiness.profiles().unwrap();
        assert!(offer(&early, "default").is_some() && there());
        readiness.without_custom();
        readiness.publish().unwrap();
        assert!(there(), "an earlier run's profile was taken away");
        readiness.offer(ProfileSet::from(&catalog));
        assert!(there() && readiness.is_ready());
        readiness.publish().unwrap();
        assert!(!there());
    }
}
