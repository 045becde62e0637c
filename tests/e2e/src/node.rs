//! A node of its own: private container runtime, images, and the plugin and the guard if asked for.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::cleanup::{Leftovers, Territory};
use crate::cri::Cri;
use crate::daemon::{self, Daemon, DaemonOptions, SANDBOXED, Setup};
use crate::guard::{Caller, Guard};
use crate::images;
use crate::install::{Install, open_to_all};
use crate::plugin::{Plugin, tail};
use crate::pod::PodRequest;
use crate::repository;
use crate::scratch::Scratch;

pub use self::fixture::{Fixture, Runtime};

/// What a node with containerd and without the guard is made of; [`Fixture`] can say more.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions<'a> {
    /// containerd's version, one of those that tools/versions.toml pins.
    pub containerd: &'a str,
    /// Test images that the runtime knows.
    pub images: &'a [&'a str],
    /// Installs and attaches the plugin.
    pub plugin: bool,
    /// How the daemon is configured.
    pub daemon: DaemonOptions,
}

impl<'a> From<NodeOptions<'a>> for Fixture<'a> {
    fn from(options: NodeOptions<'a>) -> Self {
        Self {
            images: options.images,
            plugin: options.plugin,
            daemon: options.daemon,
            ..Self::containerd(options.containerd)
        }
    }
}

/// A running node; dropping it takes everything away.
#[derive(Debug)]
pub struct Node {
    scratch: Scratch,
    name: String,
    daemon: Daemon,
    cri: Cri,
    install: Option<Install>,
    guard: Option<Guard>,
    plugin: Option<Plugin>,
    territory: Arc<Territory>,
    pods: AtomicU32,
}

impl Node {
    /// Starts the container runtime, imports the images, attaches the plugin.
    pub fn start<'a>(fixture: impl Into<Fixture<'a>>) -> Result<Self> {
        let fixture = fixture.into();
        check_binaries(fixture)?;
        let scratch = Scratch::create()?;
        // Containers reach their root filesystem and the launcher through it, whoever they run as.
        open_to_all(scratch.path())?;
        let territory = Territory::claim(scratch.path(), &scratch.label());
        Self::assemble(scratch, Arc::clone(&territory), fixture).inspect_err(|_| {
            eprintln!("{}", keep_logs(&territory));
            territory.clear();
        })
    }

    fn assemble(scratch: Scratch, territory: Arc<Territory>, fixture: Fixture<'_>) -> Result<Self> {
        let sandboxing = fixture.plugin || fixture.guard;
        let install = sandboxing.then(|| Install::create(&scratch)).transpose()?;
        let guard = match &install {
            Some(install) if fixture.guard => {
                Some(install_guard(&scratch, install, fixture.runtime)?)
            }
            _ => None,
        };
        let setup = setup(&territory, guard.as_ref(), fixture)?;
        let daemon = Daemon::start(&territory, fixture.runtime, setup)?;
        let cri = Cri::connect(scratch.path(), &daemon.socket())?;
        for image in [images::PAUSE].iter().chain(fixture.images) {
            import(&daemon, &cri, image)?;
        }
        let plugin = match &install {
            Some(install) if fixture.plugin => {
                let extra = guard.as_ref().filter(|_| fixture.introduced);
                let extra = extra.map(introduction).unwrap_or_default();
                Some(Plugin::start(&territory, install, &extra)?)
            }
            Some(install) => install.publish().map(|()| None)?,
            None => None,
        };
        Ok(Self {
            scratch,
            name: fixture.to_string(),
            daemon,
            cri,
            install,
            guard,
            plugin,
            territory,
            pods: AtomicU32::new(0),
        })
    }

    /// What it is made of, like `containerd 2.3.7, plugin, guard`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A pod to be run here. `name` is made unique.
    pub fn pod(&self, name: &str) -> PodRequest<'_> {
        PodRequest::new(self, name)
    }

    /// The container runtime.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The kubelet's interface.
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// The scratch directory.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The plugin; an error on a node without one.
    pub fn plugin(&self) -> Result<&Plugin> {
        self.plugin.as_ref().context("this node has no plugin")
    }

    /// The guard; an error on a node without one.
    pub fn guard(&self) -> Result<&Guard> {
        self.guard.as_ref().context("this node has no guard")
    }

    /// The installation; an error on a node without plugin and guard.
    pub fn install(&self) -> Result<&Install> {
        self.install.as_ref().context("this node sandboxes nothing")
    }

    /// Mounts below the scratch directory.
    pub fn mounts(&self) -> usize {
        self.territory.mounts().len()
    }

    /// Ends the plugin and starts it again.
    pub fn restart_plugin(&self) -> Result<()> {
        let plugin = self.plugin()?;
        plugin.stop()?;
        self.start_plugin_again()
    }

    /// Starts the plugin again after it ended.
    pub fn start_plugin_again(&self) -> Result<()> {
        self.plugin()?.start_again()
    }

    /// Ends the runtime, runs `meanwhile`, and starts the runtime again; containers keep running.
    pub fn restart_daemon(&self, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        self.daemon.stop()?;
        let outcome = meanwhile();
        self.daemon.start_again()?;
        self.cri.wait_until_ready()?;
        outcome
    }

    /// Removes all pods in order, then ends the node; says what did not go by itself.
    pub fn finish(self) -> Leftovers {
        let mut leftovers = Leftovers::new();
        if let Err(error) = self.cri.remove_all_pods() {
            leftovers.push(format!("pods: {error:#}"));
        }
        leftovers.extend(self.territory.clear());
        leftovers
    }

    /// Copies the logs to `.cache/logs/NAME` and returns that directory's path in words.
    pub fn save_logs(&self) -> String {
        keep_logs(&self.territory)
    }

    pub(crate) fn cgroup(&self) -> String {
        self.scratch.label()
    }

    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.pods.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.scratch.path().exists() {
            let _ = self.cri.remove_all_pods();
            self.territory.clear();
        }
    }
}

/// Before anything runs: the most likely things to be missing.
fn check_binaries(fixture: Fixture<'_>) -> Result<()> {
    if fixture.plugin || fixture.guard {
        repository::launcher_binary()?;
    }
    if fixture.plugin {
        repository::plugin_binary()?;
    }
    if fixture.guard {
        repository::guard_binary()?;
    }
    Ok(())
}

fn install_guard(scratch: &Scratch, install: &Install, runtime: Runtime<'_>) -> Result<Guard> {
    let caller = match runtime {
        Runtime::Containerd(_) => Caller::Containerd,
        Runtime::Crio(_) => Caller::Crio,
    };
    let runc = daemon::oci_runtime(scratch.path(), runtime)?;
    Guard::install(scratch, &install.launcher(), &runc, caller)
}

fn setup<'a>(
    territory: &'a Territory,
    guard: Option<&Guard>,
    fixture: Fixture<'_>,
) -> Result<Setup<'a>> {
    Ok(Setup {
        home: territory.scratch(),
        runc: daemon::oci_runtime(territory.scratch(), fixture.runtime)?,
        guard: guard.map(Guard::binary),
        nri: fixture.nri,
        validator: fixture.daemon.validator,
        required: fixture.daemon.required,
    })
}

/// What the plugin is told of the guard.
fn introduction(guard: &Guard) -> String {
    format!(
        "guarded_classes = [\"{SANDBOXED}\"]\nguard_state_dir = \"{}\"\n",
        guard.records().display()
    )
}

fn import(daemon: &Daemon, cri: &Cri, image: &str) -> Result<()> {
    let reference = images::reference(image);
    daemon
        .import(&images::archive(image)?, &reference)
        .with_context(|| format!("cannot import the {image} image"))?;
    cri.wait_for_image(&reference)
}

/// Forgets the logs that earlier runs kept.
pub fn forget_logs() {
    let _ = fs::remove_dir_all(repository::cache().join("logs"));
}

fn keep_logs(territory: &Territory) -> String {
    let source = territory.logs();
    let target = repository::cache().join("logs").join(territory.label());
    let copied = copy_files(&source, &target);
    match copied {
        Ok(()) => format!(
            "logs are in {}; the runtime's ends with:\n{}",
            target.display(),
            tail(&runtime_log(&target), 5)
        ),
        Err(error) => format!("logs could not be kept: {error:#}"),
    }
}

fn runtime_log(directory: &Path) -> PathBuf {
    let logs = ["containerd.log", "crio.log"].map(|name| directory.join(name));
    let found = logs.iter().find(|path| path.exists());
    found.unwrap_or(&logs[0]).clone()
}

fn copy_files(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        fs::copy(entry.path(), target.join(entry.file_name()))?;
    }
    Ok(())
}
