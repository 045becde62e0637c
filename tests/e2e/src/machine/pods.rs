//! Pods of one busybox container.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Machine, START_LIMIT};
use crate::images;
use crate::wait;

/// A running pod.
#[derive(Debug)]
pub struct MachinePod<'m> {
    machine: &'m Machine,
    id: String,
    container: String,
    log: PathBuf,
}

impl Machine {
    /// A pod of some handler whose container runs a command.
    pub fn pod(&self, name: &str, handler: &str, command: &[&str]) -> Result<MachinePod<'_>> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        let files = self.scratch.join(format!("pods/{name}-{number}"));
        fs::create_dir_all(&files).context("cannot create the pod's directory")?;
        let namespaces = json!({ "network": 2, "pid": 1, "ipc": 0 });
        let pod = json!({
            "metadata": { "name": name, "uid": format!("uid-{name}-{number}"), "namespace": "e2e", "attempt": 0 },
            "log_directory": files,
            "linux": {
                "cgroup_parent": format!("/{}", self.scratch.label()),
                "security_context": { "namespace_options": namespaces },
            },
        });
        let container = json!({
            "metadata": { "name": "main" },
            "image": { "image": images::reference(images::BUSYBOX) },
            "command": command,
            "log_path": "main.log",
            "linux": { "security_context": { "namespace_options": namespaces } },
        });
        let write = |name: &str, value: &Value| -> Result<String> {
            let path = files.join(name);
            fs::write(&path, value.to_string()).context("cannot write the pod's configuration")?;
            Ok(path.to_string_lossy().into_owned())
        };
        let (pod, container) = (write("pod.json", &pod)?, write("main.json", &container)?);
        let id = self.cri.call(&["runp", "--runtime", handler, &pod])?;
        let started = MachinePod {
            machine: self,
            container: self
                .cri
                .call(&["create", "--no-pull", &id, &container, &pod])?,
            id,
            log: files.join("main.log"),
        };
        self.cri.call(&["start", &started.container])?;
        Ok(started)
    }
}

impl MachinePod<'_> {
    /// What the first process prints until it has printed `last`.
    pub fn prints(&self, last: &str) -> Result<String> {
        wait::until(
            &format!("{last:?} in the container's log"),
            START_LIMIT,
            || {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                // Time, stream and a tag come first.
                let text: String = log
                    .lines()
                    .filter_map(|line| line.splitn(4, ' ').nth(3))
                    .flat_map(|line| [line, "\n"])
                    .collect();
                Ok(text.contains(last).then_some(text))
            },
        )
    }

    /// What a process prints that joins it.
    pub fn exec(&self, command: &[&str]) -> Result<String> {
        let arguments = [&["exec", "--sync", &self.container], command].concat();
        self.machine.cri.call(&arguments)
    }

    /// Ends it without taking it away.
    pub fn stop(&self) -> Result<()> {
        self.machine.cri.call(&["stopp", &self.id]).map(drop)
    }

    /// Takes it away.
    pub fn remove(&self) -> Result<()> {
        // Some runtimes would wait for their end.
        self.machine.cri.remove_containers_of(&self.id)?;
        wait::until("the end of the pod", START_LIMIT, || {
            Ok(self.machine.cri.call(&["rmp", "--force", &self.id]).ok())
        })
        .map(drop)
    }
}
