//! helm as an operator calls it.

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::machine::on_node;

const LIMIT: &str = "600";

impl Cluster {
    /// What helm prints; a failure is an error that carries what it says.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Result<String> {
        let output = on_node("timeout", self.scratch())
            .args(["--kill-after=5", LIMIT, "helm"])
            .args(arguments)
            .output()
            .context("cannot run helm")?;
        if !output.status.success() {
            bail!(
                "helm {}: {}: {}{}",
                arguments.first().unwrap_or(&""),
                output.status,
                String::from_utf8_lossy(&output.stdout).trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).context("helm prints no UTF-8")
    }
}
