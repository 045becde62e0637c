//! Podman with a private store: containers without Kubernetes, for the guard as `--runtime`.

mod container;
mod storage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use self::container::{PodmanContainer, PodmanRequest};
pub(crate) use self::storage::Storage;
use crate::cleanup::{Leftovers, Territory};
use crate::guard::{Caller, Guard};
use crate::images;
use crate::install::{Install, open_to_all};
use crate::repository::{self, Versions};
use crate::scratch::Scratch;
use crate::{subprocess, wait};

/// The monitor that Debian installs, for Podman and CRI-O.
pub(crate) const CONMON: &str = "/usr/bin/conmon";

const PODMAN: &str = "/usr/bin/podman";
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A Podman of its own; dropping it takes everything away.
#[derive(Debug)]
pub struct Podman {
    scratch: Scratch,
    storage: Storage,
    runc: PathBuf,
    guarded: Option<(Install, Guard)>,
    territory: Arc<Territory>,
}

impl Podman {
    /// Loads the images; `guarded` puts the guard in front of the OCI runtime.
    pub fn start(images: &[&str], guarded: bool) -> Result<Self> {
        if guarded {
            repository::launcher_binary()?;
            repository::guard_binary()?;
        }
        let scratch = Scratch::create()?;
        let territory = Territory::claim(scratch.path(), &scratch.label());
        Self::assemble(scratch, Arc::clone(&territory), images, guarded).inspect_err(|_| {
            territory.clear();
        })
    }

    fn assemble(
        scratch: Scratch,
        territory: Arc<Territory>,
        images: &[&str],
        guarded: bool,
    ) -> Result<Self> {
        open_to_all(scratch.path())?;
        let storage = Storage::below(scratch.path());
        storage.configure()?;
        for image in images {
            storage
                .import(&images::archive(image)?, &images::reference(image))
                .with_context(|| format!("cannot load the {image} image"))?;
        }
        let runc = Versions::read()?.home("runc")?.join("runc");
        let guarded = guarded.then(|| guard(&scratch, &runc)).transpose()?;
        Ok(Self {
            runc,
            scratch,
            storage,
            guarded,
            territory,
        })
    }

    /// A container that runs `command` in place of the image's entrypoint.
    pub fn container(&self, image: &str, command: &[&str]) -> PodmanRequest<'_> {
        PodmanRequest::new(self, image, command)
    }

    /// The guard; an error without one.
    pub fn guard(&self) -> Result<&Guard> {
        let guard = self.guarded.as_ref().map(|(_, guard)| guard);
        guard.context("this Podman has no guard")
    }

    /// The installation; an error without the guard.
    pub fn install(&self) -> Result<&Install> {
        let install = self.guarded.as_ref().map(|(install, _)| install);
        install.context("this Podman sandboxes nothing")
    }

    /// The scratch directory.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The OCI bundle of a container.
    pub fn bundle(&self, id: &str) -> PathBuf {
        // Podman keeps bundles with the state that outlives a reboot, CRI-O with the rest.
        self.scratch
            .join("storage/overlay-containers")
            .join(id)
            .join("userdata")
    }

    /// Mounts below the scratch directory.
    pub fn mounts(&self) -> usize {
        self.territory.mounts().len()
    }

    /// Removes all containers in order, then everything else; says what did not go by itself.
    pub fn finish(self) -> Leftovers {
        let mut leftovers = Leftovers::new();
        if let Err(error) = self.remove_all() {
            leftovers.push(format!("containers: {error:#}"));
        }
        leftovers.extend(self.territory.clear());
        leftovers
    }

    /// `podman ARGUMENTS`, its output trimmed; what Podman says in case of failure.
    fn call(&self, arguments: &[&str]) -> Result<String> {
        let text = self.storage.podman(arguments, CALL_LIMIT)?;
        Ok(text.trim().to_owned())
    }

    fn remove_all(&self) -> Result<()> {
        self.call(&["rm", "--all", "--force", "--time=0"])?;
        // Monitors end a moment after their containers; Podman leaves the cgroup to the next one.
        wait::until("the end of all monitors", CALL_LIMIT, || {
            Ok(self.territory.remove_empty("conmon").then_some(()))
        })
    }

    /// What containers are run with, unless they ask for something else.
    fn runtime(&self) -> PathBuf {
        let guard = self.guarded.as_ref().map(|(_, guard)| guard.binary());
        guard.unwrap_or_else(|| self.runc.clone())
    }

    /// The option that makes cgroups ours.
    fn cgroup_parent(&self) -> String {
        format!("--cgroup-parent=/{}", self.scratch.label())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if self.scratch.path().exists() {
            let _ = self.remove_all();
            self.territory.clear();
        }
    }
}

fn guard(scratch: &Scratch, runc: &Path) -> Result<(Install, Guard)> {
    let install = Install::create(scratch)?;
    install.publish()?;
    let guard = Guard::install(scratch, &install.launcher(), runc, Caller::Podman)?;
    Ok((install, guard))
}

/// The version of the installed Podman.
pub fn version() -> String {
    let output = subprocess::text(Path::new(PODMAN), &["--version"], CALL_LIMIT);
    let last = output
        .ok()
        .and_then(|line| line.split(' ').next_back().map(str::to_owned));
    last.map_or_else(
        || "(not installed)".to_owned(),
        |last| last.trim().to_owned(),
    )
}

fn program() -> Result<PathBuf> {
    let path = Path::new(PODMAN);
    if !path.is_file() {
        bail!("{PODMAN} is missing: run `cargo xtask setup --only apt`");
    }
    Ok(path.to_owned())
}
