//! A created container: life, exit.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Pod;
use crate::wait;

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

impl<'p> Container<'p> {
    pub(super) fn new(pod: &'p Pod<'p>, id: String, log: PathBuf) -> Self {
        Self { pod, id, log }
    }

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
        let bundle = self.pod.node.daemon().bundle(&self.id);
        // CRI-O has it elsewhere, and says so in the spec.
        let spec = self.oci_spec().unwrap_or_default();
        bundle.join(spec["root"]["path"].as_str().unwrap_or("rootfs"))
    }

    /// The host's ID of its first process.
    pub fn pid(&self) -> Result<i64> {
        self.inspect()?["info"]["pid"]
            .as_i64()
            .context("the runtime reports no process ID")
    }

    /// Runs a command inside, as the runtime does it, and returns stdout.
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

    /// Like [`Container::exec_output`], through the streaming server as `kubectl exec` does it.
    pub fn exec_streaming(&self, command: &[&str]) -> Result<Output> {
        let arguments: Vec<&str> = ["exec", &self.id].iter().chain(command).copied().collect();
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
