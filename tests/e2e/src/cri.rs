//! The kubelet's side of the container runtime interface, through a private `crictl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::repository::Versions;
use crate::{subprocess, wait};

const CALL_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A CRI client of one runtime.
#[derive(Debug)]
pub struct Cri {
    crictl: PathBuf,
    /// The option that selects the private configuration.
    config: String,
}

impl Cri {
    /// Writes a private configuration into `home` and waits until the runtime serves CRI.
    pub fn connect(home: &Path, socket: &Path) -> Result<Self> {
        let endpoint = format!("unix://{}", socket.display());
        let config = home.join("crictl.yaml");
        let text =
            format!("runtime-endpoint: {endpoint}\nimage-endpoint: {endpoint}\ntimeout: 30\n");
        fs::write(&config, text).context("cannot write crictl.yaml")?;
        let cri = Self {
            crictl: Versions::read()?.home("crictl")?.join("crictl"),
            config: format!("--config={}", config.display()),
        };
        cri.wait_until_ready()?;
        Ok(cri)
    }

    /// Waits until the runtime reports itself ready; the network may stay unconfigured, pods use the host's.
    pub fn wait_until_ready(&self) -> Result<()> {
        wait::until("the runtime to serve CRI", READY_LIMIT, || {
            let Ok(info) = self.json(&["info"]) else {
                return Ok(None);
            };
            let conditions = info["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|c| c["type"] == "RuntimeReady" && c["status"] == true);
            Ok(ready.then_some(()))
        })
    }

    /// `crictl ARGUMENTS`, its output trimmed; what the runtime says in case of failure.
    pub fn call(&self, arguments: &[&str]) -> Result<String> {
        subprocess::text(&self.crictl, &self.with_config(arguments), CALL_LIMIT)
            .map(|text| text.trim().to_owned())
    }

    /// `crictl ARGUMENTS`, whatever its exit code.
    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        subprocess::output(&self.crictl, &self.with_config(arguments), CALL_LIMIT)
    }

    /// `crictl ARGUMENTS`, its output parsed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.call(arguments)?;
        serde_json::from_str(&text)
            .with_context(|| format!("crictl {} prints no JSON", arguments.join(" ")))
    }

    /// Waits until the runtime knows an image that was imported behind its back.
    pub fn wait_for_image(&self, name: &str) -> Result<()> {
        wait::until(&format!("image {name}"), READY_LIMIT, || {
            Ok(self.json(&["inspecti", name]).ok().map(drop))
        })
    }

    /// Removes every pod.
    pub fn remove_all_pods(&self) -> Result<()> {
        // Some runtimes would wait for their end.
        self.call(&["rm", "--all", "--force"])?;
        self.call(&["rmp", "--all", "--force"]).map(drop)
    }

    /// Kills and removes the containers of one pod.
    pub fn remove_containers_of(&self, pod: &str) -> Result<()> {
        let listed = self.call(&["ps", "--all", "--quiet", "--pod", pod])?;
        let remove = ["rm", "--force"].into_iter().chain(listed.lines());
        if listed.is_empty() {
            return Ok(());
        }
        self.call(&remove.collect::<Vec<_>>()).map(drop)
    }

    fn with_config<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let config = [self.config.as_str()];
        config.iter().chain(arguments).copied().collect()
    }
}
