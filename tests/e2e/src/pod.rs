//! Pods and containers as a kubelet would ask for them, removed when dropped.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::daemon::SANDBOXED;
use crate::node::Node;
use crate::wait;

mod container;
mod created;
mod namespaces;

pub use self::container::ContainerRequest;
pub use self::created::{Container, Exit};
pub use self::namespaces::FIRST_MAPPED_USER;
use self::namespaces::Namespaces;

/// The namespace of all test pods.
pub const NAMESPACE: &str = "e2e";

/// A pod to be run.
#[derive(Debug)]
pub struct PodRequest<'n> {
    node: &'n Node,
    name: String,
    handler: String,
    annotations: serde_json::Map<String, Value>,
    namespaces: Namespaces,
    privileged: bool,
}

impl<'n> PodRequest<'n> {
    pub(crate) fn new(node: &'n Node, name: &str) -> Self {
        let annotations = serde_json::Map::new();
        Self {
            node,
            name: node.unique(name),
            handler: SANDBOXED.to_owned(),
            annotations,
            namespaces: Namespaces::default(),
            privileged: false,
        }
    }

    /// Chooses the runtime handler; pods are sandboxed otherwise.
    pub fn handler(mut self, handler: &str) -> Self {
        self.handler = handler.to_owned();
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), json!(value));
        self
    }

    /// Gives the pod a user namespace, as `hostUsers: false` does, and with it a network namespace.
    pub fn user_namespace(mut self) -> Self {
        self.namespaces.users = true;
        self
    }

    /// Lets all containers share one PID namespace, as `shareProcessNamespace: true` does.
    pub fn share_pid(mut self) -> Self {
        self.namespaces.share_pid();
        self
    }

    /// Lets all containers use the host's PID namespace, as `hostPID: true` does.
    pub fn host_pid(mut self) -> Self {
        self.namespaces.host_pid();
        self
    }

    /// Allows privileged containers.
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Creates and starts the pod sandbox.
    pub fn run(self) -> Result<Pod<'n>> {
        let files = self.node.scratch().join("pods").join(&self.name);
        fs::create_dir_all(&files).context("cannot create the pod's log directory")?;
        let uid = format!("uid-{}", self.name);
        let config = json!({
            "metadata": { "name": self.name, "uid": uid, "namespace": NAMESPACE, "attempt": 0 },
            "annotations": self.annotations,
            "log_directory": files,
            "linux": {
                "cgroup_parent": format!("/{}", self.node.cgroup()),
                "security_context": {
                    "namespace_options": self.namespaces.to_json(),
                    "privileged": self.privileged,
                },
            },
        });
        let path = files.join("pod.json");
        fs::write(&path, config.to_string()).context("cannot write the pod's configuration")?;
        let file = path.to_string_lossy();
        let id = self
            .node
            .cri()
            .call(&["runp", "--runtime", &self.handler, &file])?;
        Ok(Pod {
            node: self.node,
            name: self.name,
            uid,
            id,
            files,
            namespaces: self.namespaces,
            removed: false,
        })
    }
}

/// A running pod sandbox.
#[derive(Debug)]
pub struct Pod<'n> {
    node: &'n Node,
    name: String,
    uid: String,
    id: String,
    files: PathBuf,
    namespaces: Namespaces,
    removed: bool,
}

impl<'n> Pod<'n> {
    /// The node it runs on.
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// Name, unique on its node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UID, as the plugin sees it.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The ID of the pod sandbox.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A container that runs `command` in place of the image's entrypoint.
    pub fn container(&self, image: &str, command: &[&str]) -> ContainerRequest<'_> {
        ContainerRequest::new(self, image, command)
    }

    /// Stops and removes the pod with its containers.
    pub fn remove(mut self) -> Result<()> {
        self.removed = true;
        self.take_away()
    }

    fn take_away(&self) -> Result<()> {
        let pods = self.node.cri();
        if self.node.daemon().is_patient() {
            let _ = pods.remove_containers_of(&self.id);
        }
        // The runtime refuses to remove a sandbox whose shim is just going away; a kubelet tries again.
        wait::until(
            &format!("the end of pod {}", self.name),
            Duration::from_secs(20),
            || Ok(pods.call(&["rmp", "--force", &self.id]).ok()),
        )
        .map(drop)
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        if !self.removed {
            let _ = self.take_away();
        }
    }
}
