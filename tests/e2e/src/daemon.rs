//! A private containerd: own root, state, sockets and configuration in a scratch directory.

mod config;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cleanup::Territory;
use crate::repository::{Versions, tool_home};
use crate::subprocess::Background;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The handler without a sandbox.
pub const BASELINE: &str = "runc";
/// The handler whose pods the plugin sandboxes.
pub const SANDBOXED: &str = "nono-runc";
/// The name of the pod sandbox (pause) image.
pub const PAUSE_IMAGE: &str = "kubefence.test/pause:e2e";

/// How a daemon differs from the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub struct DaemonOptions {
    /// Enables NRI's default validator, without globally required plugins.
    pub validator: bool,
}

/// A running containerd.
#[derive(Debug)]
pub struct Daemon {
    version: String,
    tools: PathBuf,
    runc: PathBuf,
    home: PathBuf,
    territory: Arc<Territory>,
    process: Mutex<Background>,
}

impl Daemon {
    /// Writes the configuration, starts containerd and waits until its socket answers.
    pub fn start(
        territory: &Arc<Territory>,
        version: &str,
        options: DaemonOptions,
    ) -> Result<Self> {
        let tools = tool_home("containerd", version)?;
        let runc = Versions::read()?.home("runc")?.join("runc");
        let home = territory.scratch().to_owned();
        for directory in ["root", "state", "logs", "nri-plugins", "nri-conf"] {
            fs::create_dir_all(home.join(directory))
                .context("cannot lay out the scratch directory")?;
        }
        fs::write(
            home.join("config.toml"),
            config::render(&home, &runc, options),
        )
        .context("cannot write containerd's config.toml")?;
        let process = Mutex::new(spawn(territory, &tools)?);
        let daemon = Self {
            version: version.to_owned(),
            tools,
            runc,
            home,
            territory: Arc::clone(territory),
            process,
        };
        daemon.wait_for_socket()?;
        Ok(daemon)
    }

    /// The version, without `v`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A program of the same containerd release.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools.join(name)
    }

    /// The runc binary of all handlers.
    pub fn runc(&self) -> &Path {
        &self.runc
    }

    /// containerd's gRPC socket.
    pub fn socket(&self) -> PathBuf {
        socket(&self.home)
    }

    /// containerd's own log.
    pub fn log(&self) -> PathBuf {
        log(&self.home)
    }

    /// The OCI bundle of a container or a pod sandbox.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.bundles().join(id)
    }

    /// The directory of all OCI bundles.
    pub fn bundles(&self) -> PathBuf {
        self.home.join("state/io.containerd.runtime.v2.task/k8s.io")
    }

    /// The process, for signals.
    pub fn process(&self) -> Background {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends containerd and leaves its containers running, as an upgrade does.
    pub fn stop(&self) -> Result<()> {
        self.process().stop(STOP_LIMIT).map(drop)
    }

    /// Starts it again after [`Daemon::stop`].
    pub fn start_again(&self) -> Result<()> {
        let process = spawn(&self.territory, &self.tools)?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
        self.wait_for_socket()
    }

    fn wait_for_socket(&self) -> Result<()> {
        let socket = self.socket();
        wait::until("containerd's socket", START_LIMIT, || {
            self.process().check_alive()?;
            Ok(UnixStream::connect(&socket).ok())
        })
        .with_context(|| {
            format!(
                "containerd {} did not start, see {}",
                self.version,
                self.log().display()
            )
        })
        .map(drop)
    }
}

fn spawn(territory: &Territory, tools: &Path) -> Result<Background> {
    let home = territory.scratch();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(tools.join("containerd"));
    command
        .arg("--config")
        .arg(home.join("config.toml"))
        // containerd finds its shim through PATH.
        .env("PATH", format!("{}:{path}", tools.display()));
    territory.spawn("containerd", &mut command, &log(home))
}

fn socket(home: &Path) -> PathBuf {
    home.join("containerd.sock")
}

fn log(home: &Path) -> PathBuf {
    home.join("logs/containerd.log")
}
