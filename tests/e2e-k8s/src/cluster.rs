//! A running cluster and what the checks do with it.

mod installation;
mod plugin;
mod pods;
mod spec;
mod tree;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::images;
use e2e::terminal::progress;
use e2e::wait;

use crate::machine::{self, Machine, NODE};
use crate::tools::Tools;

pub(crate) use self::installation::{INJECTED, Installation, PLAIN, RELEASE, TEAM, Wishes};
pub(crate) use self::pods::Pod;
pub(crate) use self::spec::{OciSpec, running};
pub(crate) use self::tree::Tree;

/// Test images that the node knows.
pub(crate) const IMAGES: [&str; 2] = [images::PAUSE, images::BUSYBOX];
/// What containerd calls the pod sandbox's image by default.
const STOCK_PAUSE: &str = "registry.k8s.io/pause:3.10.2";

const NODE_LIMIT: Duration = Duration::from_secs(120);

/// The cluster, which ends with this process.
pub(crate) struct Cluster {
    machine: Machine,
    installation: Mutex<Installation>,
}

impl Cluster {
    /// Starts everything and waits until the node is ready for pods.
    pub(crate) fn start(scratch: &Path) -> Result<Self> {
        let tools = Tools::find()?;
        let machine = Machine::start(scratch, &tools)?;
        let cluster = Self {
            machine,
            installation: Mutex::default(),
        };
        progress("importing images");
        for image in IMAGES {
            let aliases: &[&str] = if image == images::PAUSE {
                &[STOCK_PAUSE]
            } else {
                &[]
            };
            machine::import(&images::archive(image)?, &images::reference(image), aliases)?;
        }
        progress("waiting for the node");
        cluster.wait_for_node()?;
        cluster.wait_for_account()?;
        Ok(cluster)
    }

    /// The node.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The node's directory outside of its view.
    pub(crate) fn scratch(&self) -> &Path {
        self.machine.scratch()
    }

    /// Waits until the kubelet has registered its node, and says that it is ready.
    pub(crate) fn wait_for_node(&self) -> Result<()> {
        wait::until("the kubelet to register its node", NODE_LIMIT, || {
            let found = self.kubectl_output(&["get", "node", NODE], "")?;
            Ok(found.status.success().then_some(()))
        })?;
        self.wait_for(&["node", NODE], "condition=Ready", NODE_LIMIT)
            .context("the node is not ready")
    }

    /// Pods are refused until their namespace has its account.
    fn wait_for_account(&self) -> Result<()> {
        wait::until("the default service account", NODE_LIMIT, || {
            let found = self.kubectl_output(&["get", "serviceaccount", "default"], "")?;
            Ok(found.status.success().then_some(()))
        })
    }
}
