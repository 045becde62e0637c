//! A node of its own: private containerd, images, and the plugin if asked for.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cleanup::{Leftovers, Territory};
use crate::cri::Cri;
use crate::daemon::{Daemon, DaemonOptions};
use crate::images;
use crate::install::Install;
use crate::plugin::{Plugin, tail};
use crate::pod::PodRequest;
use crate::repository;
use crate::scratch::Scratch;
use crate::subprocess;

const IMPORT_LIMIT: Duration = Duration::from_secs(300);

/// What a node is made of.
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

/// A running node; dropping it takes everything away.
#[derive(Debug)]
pub struct Node {
    scratch: Scratch,
    daemon: Daemon,
    cri: Cri,
    attached: Option<(Install, Plugin)>,
    territory: Arc<Territory>,
    pods: AtomicU32,
}

impl Node {
    /// Starts containerd, imports the images, attaches the plugin.
    pub fn start(options: NodeOptions<'_>) -> Result<Self> {
        if options.plugin {
            // Before anything runs: the most likely thing to be missing.
            repository::plugin_binary()?;
            repository::launcher_binary()?;
        }
        let scratch = Scratch::create()?;
        let territory = Territory::claim(scratch.path(), &scratch.label());
        Self::assemble(scratch, Arc::clone(&territory), options).inspect_err(|_| {
            eprintln!("{}", keep_logs(&territory));
            territory.clear();
        })
    }

    fn assemble(
        scratch: Scratch,
        territory: Arc<Territory>,
        options: NodeOptions<'_>,
    ) -> Result<Self> {
        let daemon = Daemon::start(&territory, options.containerd, options.daemon)?;
        let cri = Cri::connect(scratch.path(), &daemon.socket())?;
        for image in [images::PAUSE].iter().chain(options.images) {
            import(&daemon, &cri, image)?;
        }
        let attached = if options.plugin {
            Some(attach(&scratch, &territory)?)
        } else {
            None
        };
        Ok(Self {
            scratch,
            daemon,
            cri,
            attached,
            territory,
            pods: AtomicU32::new(0),
        })
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
        self.attached
            .as_ref()
            .map(|(_, plugin)| plugin)
            .context("this node has no plugin")
    }

    /// The installation; an error on a node without the plugin.
    pub fn install(&self) -> Result<&Install> {
        self.attached
            .as_ref()
            .map(|(install, _)| install)
            .context("this node has no plugin")
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

    /// Ends containerd, runs `meanwhile`, and starts containerd again; containers keep running.
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

fn import(daemon: &Daemon, cri: &Cri, image: &str) -> Result<()> {
    let archive = images::archive(image)?;
    let (socket, archive) = (daemon.socket(), archive.to_string_lossy().into_owned());
    let arguments = [
        &format!("--address={}", socket.display()),
        "--namespace=k8s.io",
        "images",
        "import",
        // Half the time of the transfer service, which gains nothing on one machine.
        "--local",
        &archive,
    ];
    subprocess::text(&daemon.tool("ctr"), &arguments, IMPORT_LIMIT)
        .with_context(|| format!("cannot import the {image} image"))?;
    cri.wait_for_image(&images::reference(image))
}

fn attach(scratch: &Scratch, territory: &Arc<Territory>) -> Result<(Install, Plugin)> {
    let install = Install::create(scratch)?;
    let plugin = Plugin::start(territory, &install)?;
    Ok((install, plugin))
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
            "logs are in {}; containerd's ends with:\n{}",
            target.display(),
            tail(&target.join("containerd.log"), 5)
        ),
        Err(error) => format!("logs could not be kept: {error:#}"),
    }
}

fn copy_files(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        fs::copy(entry.path(), target.join(entry.file_name()))?;
    }
    Ok(())
}
