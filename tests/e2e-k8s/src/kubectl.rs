//! kubectl as an operator calls it, and what it prints as JSON.

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::machine::on_node;

const LIMIT: &str = "180";

impl Cluster {
    /// Runs kubectl to its end, whatever its exit code.
    pub(crate) fn kubectl_output(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        let mut child = on_node("timeout", self.scratch())
            .args(["--kill-after=5", LIMIT, "kubectl"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run kubectl")?;
        let mut pipe = child.stdin.take().context("kubectl has no input")?;
        pipe.write_all(stdin.as_bytes())
            .context("kubectl reads no input")?;
        drop(pipe);
        child.wait_with_output().context("cannot wait for kubectl")
    }

    /// What kubectl prints; a failure is an error that carries what it says.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "")
    }

    /// Like [`Cluster::kubectl`], with something on standard input.
    pub(crate) fn kubectl_with(&self, arguments: &[&str], stdin: &str) -> Result<String> {
        let output = self.kubectl_output(arguments, stdin)?;
        if !output.status.success() {
            let words: Vec<&str> = arguments.iter().take(3).copied().collect();
            bail!(
                "kubectl {}: {}: {}{}",
                words.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stdout).trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).context("kubectl prints no UTF-8")
    }

    /// An object, or a list of them.
    pub(crate) fn get(&self, arguments: &[&str]) -> Result<Value> {
        let all = [&["get", "--output=json"], arguments].concat();
        let text = self.kubectl(&all)?;
        serde_json::from_str(&text).context("kubectl prints no JSON")
    }

    /// Creates or changes what a manifest describes.
    pub(crate) fn apply(&self, manifest: &Value) -> Result<()> {
        self.kubectl_with(&["apply", "--filename=-"], &manifest.to_string())
            .map(drop)
    }

    /// Waits for a condition of an object.
    pub(crate) fn wait_for(&self, object: &[&str], condition: &str, limit: Duration) -> Result<()> {
        let condition = format!("--for={condition}");
        let timeout = format!("--timeout={}s", limit.as_secs());
        let all = [&["wait", &condition, &timeout], object].concat();
        self.kubectl(&all).map(drop)
    }
}
