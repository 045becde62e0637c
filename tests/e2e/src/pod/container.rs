//! One container: request, life, exit.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::{Pod, namespaces};
use crate::images;
use crate::wait;

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
    mounts: Vec<Value>,
}

impl<'p> ContainerRequest<'p> {
    pub(super) fn new(pod: &'p Pod<'_>, image: &str, command: &[&str]) -> Self {
        let mut config = Map::new();
        config.insert("image".into(), json!({ "image": images::reference(image) }));
        config.insert("command".into(), json!(command));
        let mut security = Map::new();
        security.insert("namespace_options".into(), namespaces());
        security.insert("masked_paths".into(), json!(MASKED));
        security.insert("readonly_paths".into(), json!(READ_ONLY));
        Self {
            pod,
            name: "main".to_owned(),
            config,
            security,
            mounts: Vec::new(),
        }
    }

    /// Names the container; one container of a pod may stay `main`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
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
    pub fn without_capabilities(mut self) -> Self {
        self.security.insert(
            "capabilities".into(),
            json!({ "drop_capabilities": ["ALL"] }),
        );
        self
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
        self.config.insert("log_path".into(), json!(log));
        self.config.insert("mounts".into(), json!(self.mounts));
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
        Ok(Container {
            pod: self.pod,
            id,
            log: self.pod.files.join(log),
        })
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

/// How a container ended.
#[derive(Debug)]
pub struct Exit {
    /// Exit status.
    pub code: i64,
    /// Everything it printed, stdout and stderr, in order.
    pub output: String,
}

impl Exit {
    /// The output, if the status is 0.
    pub fn success(self) -> Result<String> {
        self.expect(0)
    }

    /// The output, if the status is `code`.
    pub fn expect(self, code: i64) -> Result<String> {
        ensure!(
            self.code == code,
            "exit status {} instead of {code}, output: {}",
            self.code,
            self.output.trim()
        );
        Ok(self.output)
    }
}

/// A created container.
#[derive(Debug)]
pub struct Container<'p> {
    pod: &'p Pod<'p>,
    id: String,
    log: PathBuf,
}

impl Container<'_> {
    /// The container ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts it.
    pub fn start(&self) -> Result<()> {
        self.pod.node.cri().call(&["start", &self.id]).map(drop)
    }

    /// `crictl inspect`.
    pub fn inspect(&self) -> Result<Value> {
        self.pod
            .node
            .cri()
            .json(&["inspect", "--output", "json", &self.id])
    }

    /// The OCI spec it was created from.
    pub fn oci_spec(&self) -> Result<Value> {
        let path = self.pod.node.daemon().bundle(&self.id).join("config.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
    }

    /// The host's view of its root filesystem while it runs.
    pub fn rootfs(&self) -> PathBuf {
        self.pod.node.daemon().bundle(&self.id).join("rootfs")
    }

    /// Runs a command inside, unsandboxed as the runtime does it, and returns stdout.
    pub fn exec(&self, command: &[&str]) -> Result<String> {
        let arguments: Vec<&str> = ["exec", "--sync", &self.id]
            .iter()
            .chain(command)
            .copied()
            .collect();
        self.pod.node.cri().call(&arguments)
    }

    /// Like [`Container::exec`], whatever the exit status.
    pub fn exec_output(&self, command: &[&str]) -> Result<Output> {
        let arguments: Vec<&str> = ["exec", "--sync", &self.id]
            .iter()
            .chain(command)
            .copied()
            .collect();
        self.pod.node.cri().output(&arguments)
    }

    /// What it printed so far, without the timestamps of the log format.
    pub fn output(&self) -> Result<String> {
        let raw =
            fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        Ok(parse_log(&String::from_utf8_lossy(&raw)))
    }

    /// Waits until the output contains `text`; an error if the container ends without it.
    pub fn wait_for_output(&self, text: &str, limit: Duration) -> Result<()> {
        wait::until(&format!("container output {text:?}"), limit, || {
            let exited = self.inspect()?["status"]["state"] == "CONTAINER_EXITED";
            let output = self.output().unwrap_or_default();
            let found = output.contains(text);
            ensure!(
                found || !exited,
                "it ended without {text:?}, output: {}",
                output.trim()
            );
            Ok(found.then_some(()))
        })
    }

    /// Waits for its end.
    pub fn wait(&self, limit: Duration) -> Result<Exit> {
        let status = wait::until(&format!("container {} to exit", self.id), limit, || {
            let status = self.inspect()?["status"].take();
            Ok((status["state"] == "CONTAINER_EXITED").then_some(status))
        })
        .with_context(|| {
            format!(
                "output so far: {}",
                self.output().unwrap_or_default().trim()
            )
        })?;
        let code = status["exitCode"]
            .as_i64()
            .context("the runtime reports no exit code")?;
        Ok(Exit {
            code,
            output: self.output()?,
        })
    }

    /// SIGTERM, then SIGKILL after `grace` seconds.
    pub fn stop(&self, grace: u32) -> Result<()> {
        self.pod
            .node
            .cri()
            .call(&["stop", "--timeout", &grace.to_string(), &self.id])
            .map(drop)
    }

    /// Removes it, running or not.
    pub fn remove(&self) -> Result<()> {
        self.pod
            .node
            .cri()
            .call(&["rm", "--force", &self.id])
            .map(drop)
    }
}

/// CRI log lines are `TIME STREAM TAG TEXT`; tag `P` marks a line that continues.
fn parse_log(log: &str) -> String {
    let mut text = String::new();
    for line in log.lines() {
        let mut fields = line.splitn(4, ' ').skip(2);
        let tag = fields.next().unwrap_or_default();
        text.push_str(fields.next().unwrap_or_default());
        if tag != "P" {
            text.push('\n');
        }
    }
    text
}
