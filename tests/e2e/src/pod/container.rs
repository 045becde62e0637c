//! A container to be created.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::Pod;
use super::created::{Container, Exit};
use super::namespaces::Namespaces;
use crate::images;

/// The paths that a kubelet asks to be masked and made read-only.
const MASKED: [&str; 9] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A container to be created.
#[derive(Debug)]
pub struct ContainerRequest<'p> {
    pod: &'p Pod<'p>,
    name: String,
    config: Map<String, Value>,
    security: Map<String, Value>,
    namespaces: Namespaces,
    mounts: Vec<Value>,
    devices: Vec<Value>,
    annotations: Map<String, Value>,
}

impl<'p> ContainerRequest<'p> {
    pub(super) fn new(pod: &'p Pod<'_>, image: &str, command: &[&str]) -> Self {
        let mut config = Map::new();
        config.insert("image".into(), json!({ "image": images::reference(image) }));
        config.insert("command".into(), json!(command));
        let mut security = Map::new();
        security.insert("masked_paths".into(), json!(MASKED));
        security.insert("readonly_paths".into(), json!(READ_ONLY));
        Self {
            pod,
            name: "main".to_owned(),
            config,
            security,
            namespaces: pod.namespaces.clone(),
            mounts: Vec::new(),
            devices: Vec::new(),
            annotations: Map::new(),
        }
    }

    /// Names the container; one container of a pod may stay `main`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Uses an image by its full name, none of the test images.
    pub fn image(self, name: &str) -> Self {
        self.set("image", json!({ "image": name }))
    }

    /// Uses `args` with the image's entrypoint or the command.
    pub fn args(self, args: &[&str]) -> Self {
        self.set("args", json!(args))
    }

    /// Sets environment variables.
    pub fn env(self, variables: &[(&str, &str)]) -> Self {
        let list: Vec<Value> = variables
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        self.set("envs", json!(list))
    }

    /// Starts in this directory.
    pub fn working_dir(self, path: &str) -> Self {
        self.set("working_dir", json!(path))
    }

    /// Bind-mounts a directory of the host.
    pub fn mount(self, host: &str, container: &str) -> Self {
        self.add_mount(host, container, false)
    }

    /// Bind-mounts a directory of the host read-only.
    pub fn mount_read_only(self, host: &str, container: &str) -> Self {
        self.add_mount(host, container, true)
    }

    /// Runs as this user.
    pub fn user(mut self, uid: u32) -> Self {
        self.security
            .insert("run_as_user".into(), json!({ "value": uid }));
        self
    }

    /// Drops every capability.
    pub fn without_capabilities(self) -> Self {
        self.capabilities("drop_capabilities", &["ALL"])
    }

    /// Adds capabilities, named without `CAP_`.
    pub fn add_capabilities(self, names: &[&str]) -> Self {
        self.capabilities("add_capabilities", names)
    }

    /// Lifts all limits of the container runtime; the pod must allow it ([`super::PodRequest::privileged`]).
    pub fn privileged(mut self) -> Self {
        self.security.insert("privileged".into(), json!(true));
        self.security.remove("masked_paths");
        self.security.remove("readonly_paths");
        self
    }

    /// Enters the PID namespace of another container of the pod, as an ephemeral container with a target does.
    pub fn pid_of(mut self, other: &Container<'_>) -> Self {
        self.namespaces.pid_of(other.id());
        self
    }

    /// Uses the host's PID namespace.
    pub fn host_pid(mut self) -> Self {
        self.namespaces.host_pid();
        self
    }

    /// Adds an annotation of the container.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), json!(value));
        self
    }

    /// Passes a device of the host, readable and writable.
    pub fn device(mut self, host: &str, container: &str) -> Self {
        self.devices
            .push(json!({ "host_path": host, "container_path": container, "permissions": "rwm" }));
        self
    }

    /// Gives the container a terminal.
    pub fn tty(self) -> Self {
        self.set("tty", json!(true))
    }

    /// Makes the root filesystem read-only.
    pub fn read_only(mut self) -> Self {
        self.security.insert("readonly_rootfs".into(), json!(true));
        self
    }

    /// Applies the runtime's default seccomp profile, as hardened clusters do.
    pub fn default_seccomp(mut self) -> Self {
        self.security
            .insert("seccomp".into(), json!({ "profile_type": 0 }));
        self
    }

    fn capabilities(mut self, change: &str, names: &[&str]) -> Self {
        let entry = self.security.entry("capabilities");
        entry.or_insert_with(|| json!({}))[change] = json!(names);
        self
    }

    fn add_mount(mut self, host: &str, container: &str, readonly: bool) -> Self {
        self.mounts
            .push(json!({ "host_path": host, "container_path": container, "readonly": readonly }));
        self
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    /// Creates the container. The error is what the runtime answered.
    pub fn create(mut self) -> Result<Container<'p>> {
        let log = format!("{}.log", self.name);
        self.config.insert(
            "metadata".into(),
            json!({ "name": self.name, "attempt": 0 }),
        );
        // As a kubelet does; it is from here that CRI-O tells NRI plugins the container's name.
        self.config.insert(
            "labels".into(),
            json!({ "io.kubernetes.container.name": self.name }),
        );
        self.config.insert("log_path".into(), json!(log));
        self.config.insert("mounts".into(), json!(self.mounts));
        self.config.insert("devices".into(), json!(self.devices));
        self.config
            .insert("annotations".into(), json!(self.annotations));
        let namespaces = self.namespaces.to_json();
        self.security.insert("namespace_options".into(), namespaces);
        self.config
            .insert("linux".into(), json!({ "security_context": self.security }));
        let path = self.pod.files.join(format!("{}.json", self.name));
        fs::write(&path, Value::Object(self.config).to_string())
            .context("cannot write the container's configuration")?;
        let pod_file = self.pod.files.join("pod.json");
        let arguments = [
            "create",
            "--no-pull",
            &self.pod.id,
            &path.to_string_lossy(),
            &pod_file.to_string_lossy(),
        ];
        let id = self.pod.node.cri().call(&arguments)?;
        let log = self.pod.files.join(log);
        Ok(Container::new(self.pod, id, log))
    }

    /// Creates and starts the container.
    pub fn start(self) -> Result<Container<'p>> {
        let container = self.create()?;
        container.start()?;
        Ok(container)
    }

    /// Creates and starts the container, and waits for its end.
    pub fn finish(self, limit: Duration) -> Result<Exit> {
        self.start()?.wait(limit)
    }

    /// Creates the container and expects the runtime to refuse; returns its message.
    pub fn refusal(self) -> Result<String> {
        match self.create() {
            Ok(_) => bail!("the container was created, it should have been refused"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }
}
