//! The pinned helm, and what it says of the chart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::{chart, root};

/// The name of the release that is rendered.
const RELEASE: &str = "kubefence";

/// The helm of tools/versions.toml.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
}

#[derive(Deserialize)]
struct Versions {
    go: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    versions: Vec<String>,
}

impl Helm {
    /// The installed one; without it nothing can be said of the chart, so that is an error.
    pub fn pinned() -> Result<Self> {
        let text = fs::read_to_string(root().join("tools/versions.toml"))
            .context("cannot read tools/versions.toml")?;
        let versions: Versions =
            toml::from_str(&text).context("cannot parse tools/versions.toml")?;
        let tool = versions.go.iter().find(|tool| tool.name == "helm");
        let version = tool
            .and_then(|tool| tool.versions.first())
            .context("tools/versions.toml pins no helm")?;
        let program = root().join(format!(".cache/tools/helm-{version}/helm"));
        ensure!(
            program.is_file(),
            "helm {version} is not installed: run `cargo xtask setup --only helm`"
        );
        Ok(Self { program })
    }

    /// `helm template` with the values of a file, and further flags; the error is what helm says.
    pub fn render(&self, values: Option<&Path>, flags: &[&str]) -> Result<String> {
        let mut command = self.command("template");
        command.arg(RELEASE).arg(chart()).args(flags);
        if let Some(values) = values {
            command.arg("--values").arg(values);
        }
        run(command)
    }

    /// `helm template` of another chart.
    pub fn render_other(&self, chart: &Path, flags: &[&str]) -> Result<String> {
        let mut command = self.command("template");
        command.arg(RELEASE).arg(chart).args(flags);
        run(command)
    }

    /// `helm lint --strict`.
    pub fn lint(&self, values: Option<&Path>) -> Result<String> {
        let mut command = self.command("lint");
        command.arg("--strict").arg(chart());
        if let Some(values) = values {
            command.arg("--values").arg(values);
        }
        run(command)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb);
        command
    }
}

fn run(mut command: Command) -> Result<String> {
    // No plugin, repository or cluster of whoever runs the tests takes part.
    let nowhere = "/nonexistent";
    for variable in ["KUBECONFIG", "HELM_PLUGINS", "HELM_REPOSITORY_CONFIG"] {
        command.env(variable, nowhere);
    }
    let output = command.output().context("cannot run helm")?;
    if !output.status.success() {
        // `helm lint` tells what it finds on its standard output.
        let said = [output.stdout, output.stderr].concat();
        bail!("{}", String::from_utf8_lossy(&said).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
