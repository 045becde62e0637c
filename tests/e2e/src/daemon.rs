//! A private container runtime: own root, state, sockets and configuration in a scratch directory.

mod containerd;
mod crio;
mod network;
mod withheld;

use std::fmt::Debug;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use self::containerd::Containerd;
use self::crio::Crio;
use crate::cleanup::Territory;
use crate::node::Runtime;
use crate::repository::Versions;
use crate::subprocess::Background;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const IMPORT_LIMIT: Duration = Duration::from_secs(300);

/// The handler without a sandbox.
pub const BASELINE: &str = "runc";
/// The handler whose pods the plugin sandboxes.
pub const SANDBOXED: &str = "nono-runc";
/// The name of the pod sandbox (pause) image.
pub const PAUSE_IMAGE: &str = "kubefence.test/pause:e2e";

/// How a daemon differs from the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub struct DaemonOptions {
    /// Enables NRI's default validator.
    pub validator: bool,
    /// Has the validator require our plugin of every container of the node.
    pub required: bool,
}

/// What the configuration of a daemon is made from.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The node's own directory.
    pub(crate) home: &'a Path,
    /// The OCI runtime.
    pub(crate) runc: PathBuf,
    /// What the sandboxed handler runs in its place.
    pub(crate) guard: Option<PathBuf>,
    /// Whether NRI plugins may connect.
    pub(crate) nri: bool,
    /// Whether NRI's default validator is enabled.
    pub(crate) validator: bool,
    /// Whether it requires our plugin of every container.
    pub(crate) required: bool,
}

impl Setup<'_> {
    /// Fills in a template; `@GUARDED …` lines stay only where there is a guard.
    fn fill(&self, template: &str) -> String {
        let handler = self.guard.as_ref().unwrap_or(&self.runc);
        let lines = template.lines().filter_map(|line| {
            match (line.strip_prefix("@GUARDED "), &self.guard) {
                (Some(_), None) => None,
                (Some(rest), Some(_)) => Some(rest),
                (None, _) => Some(line),
            }
        });
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let required = if self.required { "\"nono-nri\"" } else { "" };
        text.replace("@HOME@", &self.home.to_string_lossy())
            .replace("@RUNC@", &self.runc.to_string_lossy())
            .replace("@HANDLER@", &handler.to_string_lossy())
            .replace("@PAUSE@", PAUSE_IMAGE)
            .replace("@NRI@", &self.nri.to_string())
            .replace("@NO_NRI@", &(!self.nri).to_string())
            .replace("@VALIDATOR@", &self.validator.to_string())
            .replace("@REQUIRED@", required)
    }
}

/// What differs between container runtimes.
trait Engine: Debug + Send + Sync {
    /// Its name in messages and logs.
    fn name(&self) -> &'static str;
    /// Where its programs are.
    fn tools(&self) -> &Path;
    /// Writes the configuration.
    fn configure(&self, setup: &Setup<'_>) -> Result<()>;
    /// How it is started.
    fn command(&self, home: &Path) -> Command;
    /// The socket that serves CRI.
    fn socket(&self, home: &Path) -> PathBuf;
    /// The directory of all OCI bundles.
    fn bundles(&self, home: &Path) -> PathBuf;
    /// The OCI bundle of one container.
    fn bundle(&self, home: &Path, id: &str) -> PathBuf;
    /// Whether it waits for a pod's containers to end before it removes the pod.
    fn is_patient(&self) -> bool {
        false
    }
    /// Takes an image from an OCI archive; `name` is its full one.
    fn import(&self, home: &Path, archive: &Path, name: &str) -> Result<()>;
}

/// A running container runtime.
#[derive(Debug)]
pub struct Daemon {
    version: String,
    engine: Box<dyn Engine>,
    runc: PathBuf,
    home: PathBuf,
    territory: Arc<Territory>,
    process: Mutex<Background>,
}

impl Daemon {
    /// Writes the configuration, starts the runtime and waits until its socket answers.
    pub(crate) fn start(
        territory: &Arc<Territory>,
        runtime: Runtime<'_>,
        setup: Setup<'_>,
    ) -> Result<Self> {
        let (engine, version): (Box<dyn Engine>, _) = match runtime {
            Runtime::Containerd(version) => (Box::new(Containerd::of(version)?), version),
            Runtime::Crio(version) => (Box::new(Crio::of(version)?), version),
        };
        let home = territory.scratch().to_owned();
        for directory in ["root", "state", "logs", "nri-plugins", "nri-conf"] {
            fs::create_dir_all(home.join(directory))
                .context("cannot lay out the scratch directory")?;
        }
        network::lay_out(&home)?;
        engine.configure(&setup)?;
        let process = Mutex::new(spawn(territory, &*engine)?);
        let daemon = Self {
            version: version.to_owned(),
            engine,
            runc: setup.runc,
            home,
            territory: Arc::clone(territory),
            process,
        };
        daemon.wait_for_socket()?;
        Ok(daemon)
    }

    /// `containerd` or `crio`.
    pub fn name(&self) -> &'static str {
        self.engine.name()
    }

    /// The version, without `v`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A program of the same release.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.engine.tools().join(name)
    }

    /// The OCI runtime of all handlers.
    pub fn runc(&self) -> &Path {
        &self.runc
    }

    /// The state directory of the OCI runtime, its `--root`.
    pub fn runc_root(&self) -> PathBuf {
        self.home.join("runc")
    }

    /// Whether it waits for a pod's containers to end before it removes the pod.
    pub(crate) fn is_patient(&self) -> bool {
        self.engine.is_patient()
    }

    /// The socket that serves CRI.
    pub fn socket(&self) -> PathBuf {
        self.engine.socket(&self.home)
    }

    /// The runtime's own log.
    pub fn log(&self) -> PathBuf {
        log(&self.home, &*self.engine)
    }

    /// The OCI bundle of a container or a pod sandbox.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.engine.bundle(&self.home, id)
    }

    /// The directory of all OCI bundles.
    pub fn bundles(&self) -> PathBuf {
        self.engine.bundles(&self.home)
    }

    /// The process, for signals.
    pub fn process(&self) -> Background {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the runtime and leaves its containers running, as an upgrade does.
    pub fn stop(&self) -> Result<()> {
        self.process().stop(STOP_LIMIT).map(drop)
    }

    /// Starts it again after [`Daemon::stop`].
    pub fn start_again(&self) -> Result<()> {
        let process = spawn(&self.territory, &*self.engine)?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
        self.wait_for_socket()
    }

    /// Takes an image from an OCI archive; `name` is its full one.
    pub(crate) fn import(&self, archive: &Path, name: &str) -> Result<()> {
        self.engine.import(&self.home, archive, name)
    }

    fn wait_for_socket(&self) -> Result<()> {
        let (name, socket) = (self.name(), self.socket());
        wait::until(&format!("{name}'s socket"), START_LIMIT, || {
            self.process().check_alive()?;
            Ok(UnixStream::connect(&socket).ok())
        })
        .with_context(|| {
            format!(
                "{name} {} did not start, see {}",
                self.version,
                self.log().display()
            )
        })
        .map(drop)
    }
}

/// The OCI runtime of a node: the pinned runc, as far as this machine lets the container runtime use it.
pub(crate) fn oci_runtime(home: &Path, runtime: Runtime<'_>) -> Result<PathBuf> {
    let runc = Versions::read()?.home("runc")?.join("runc");
    match runtime {
        Runtime::Containerd(_) => Ok(runc),
        Runtime::Crio(_) => withheld::without(home, &runc),
    }
}

fn spawn(territory: &Territory, engine: &dyn Engine) -> Result<Background> {
    let home = territory.scratch();
    let mut command = engine.command(home);
    territory.spawn(engine.name(), &mut command, &log(home, engine))
}

fn log(home: &Path, engine: &dyn Engine) -> PathBuf {
    home.join("logs").join(format!("{}.log", engine.name()))
}

/// `PATH` with a directory in front of it.
fn path_with(directory: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", directory.display())
}
