//! A node in a box: namespaces, network, certificates, and the processes of a cluster on real paths.
//!
//! Nothing here knows what is checked. [`Machine`] is what runs inside; [`namespaces`] and [`cgroup`] are how the box
//! is made; when its first process ends, the kernel takes everything else with it.

pub(crate) mod cgroup;
pub(crate) mod namespaces;
pub(crate) mod network;

pub(crate) mod init;

mod certificates;
mod component;
mod control_plane;
mod kubelet;
mod layout;
mod runtime;
mod supervisor;
mod wreck;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::terminal::progress;
use e2e::wait;

use self::certificates::Authority;
use self::component::Component;
use crate::tools::Tools;

pub(crate) use self::layout::{CONTAINERD_CONFIG, KUBECONFIG, RESTART_COMMAND, SERVICE_IP};
pub(crate) use self::runtime::import;

/// The name of the only node.
pub(crate) const NODE: &str = "node";

const SOCKET_LIMIT: Duration = Duration::from_secs(60);
const API_LIMIT: Duration = Duration::from_secs(180);

/// The processes of a cluster, started in order and all alive.
pub(crate) struct Machine {
    scratch: PathBuf,
    cgroup: String,
    containerd: Arc<Component>,
    kubelet: Component,
    /// They end with the machine.
    _control_plane: Vec<Component>,
}

impl Machine {
    /// Writes all configuration and starts everything; the kubelet registers its node by itself.
    pub(crate) fn start(scratch: &Path, tools: &Tools) -> Result<Self> {
        let cgroup = cgroup::name_of(scratch);
        layout::write(scratch, tools)?;
        let authority = Authority::create(Path::new(layout::PKI))?;
        progress("starting containerd");
        let containerd = Arc::new(runtime::containerd(scratch)?);
        containerd.start()?;
        wait_for_socket(&containerd)?;
        supervisor::watch(&containerd)?;
        progress("starting etcd and the control plane");
        let control_plane = control_plane::start(scratch, &authority)?;
        wait_for_api()?;
        progress("starting the kubelet");
        let kubelet = kubelet::component(scratch, &authority, &cgroup)?;
        kubelet.start()?;
        Ok(Self {
            scratch: scratch.to_owned(),
            cgroup,
            containerd,
            kubelet,
            _control_plane: control_plane,
        })
    }

    /// The node's own directory.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The process ID of containerd, which changes when it is restarted.
    pub(crate) fn containerd_pid(&self) -> Result<u32> {
        self.containerd.pid()
    }

    /// The process ID of the kubelet.
    pub(crate) fn kubelet_pid(&self) -> Result<u32> {
        self.kubelet.pid()
    }

    /// Ends containerd and starts it again; containers keep running.
    pub(crate) fn restart_containerd(&self) -> Result<()> {
        self.containerd.restart()?;
        wait_for_socket(&self.containerd)
    }

    /// Ends the kubelet and starts it again.
    pub(crate) fn restart_kubelet(&self) -> Result<()> {
        self.kubelet.restart()
    }

    /// What a power cut and a start do: no process of a container survives, /run is empty, and runtime and kubelet come up
    /// again. The API server stays, as that of another machine would.
    pub(crate) fn reboot(&self) -> Result<()> {
        self.kubelet.kill()?;
        self.containerd.kill()?;
        wreck::clear(&self.cgroup)?;
        layout::write_run()?;
        self.containerd.start()?;
        wait_for_socket(&self.containerd)?;
        supervisor::watch(&self.containerd)?;
        self.kubelet.start()
    }
}

/// A command that sees the cluster: `PATH` and `KUBECONFIG`, and a home that is not the machine's.
pub(crate) fn on_node(program: &str, scratch: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("KUBECONFIG", KUBECONFIG)
        .env("PATH", layout::PATH)
        .env("HOME", scratch.join("home"))
        .env_remove("TMPDIR");
    command
}

fn wait_for_socket(containerd: &Component) -> Result<()> {
    wait::until("containerd", SOCKET_LIMIT, || {
        containerd.check_alive()?;
        Ok(runtime::answers().then_some(()))
    })
    .with_context(|| containerd.last_words())
}

fn wait_for_api() -> Result<()> {
    wait::until("the API server", API_LIMIT, || {
        Ok(control_plane::answers().then_some(()))
    })
    .context("the control plane did not start")
}
