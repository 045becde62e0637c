//! The plugin as a process of its own: configuration, log lines, signals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;

use crate::cleanup::Territory;
use crate::daemon::SANDBOXED;
use crate::install::Install;
use crate::repository;
use crate::subprocess::Background;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(15);

/// A plugin that is, or was, attached to a node.
#[derive(Debug)]
pub struct Plugin {
    binary: PathBuf,
    home: PathBuf,
    territory: Arc<Territory>,
    process: Mutex<Background>,
}

impl Plugin {
    /// Writes the configuration, `extra` at its end, and starts the plugin; waits until the runtime has
    /// registered it.
    pub fn start(territory: &Arc<Territory>, install: &Install, extra: &str) -> Result<Self> {
        let binary = repository::plugin_binary()?;
        let home = territory.scratch().to_owned();
        fs::write(config(&home), render(&home, install) + extra)
            .context("cannot write the plugin's configuration")?;
        let process = Mutex::new(spawn(territory, &binary)?);
        let plugin = Self {
            binary,
            home,
            territory: Arc::clone(territory),
            process,
        };
        plugin.wait_until_registered(0)?;
        Ok(plugin)
    }

    /// The process, for signals.
    pub fn process(&self) -> Background {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts it again after it ended.
    pub fn start_again(&self) -> Result<()> {
        let mark = self.mark();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) =
            spawn(&self.territory, &self.binary)?;
        self.wait_until_registered(mark)
    }

    /// Starts it again with `extra` at the end of its configuration.
    pub fn start_with(&self, extra: &str) -> Result<()> {
        self.stop()?;
        let file = config(&self.home);
        let text = fs::read_to_string(&file).context("cannot read the plugin's configuration")?;
        fs::write(&file, text + extra).context("cannot write the plugin's configuration")?;
        self.start_again()
    }

    /// Asks it to end; returns its exit code.
    pub fn stop(&self) -> Result<Option<i32>> {
        self.process().stop(LIMIT)
    }

    /// Freezes it, so that it answers nothing.
    pub fn freeze(&self) -> Result<()> {
        self.process().signal(Signal::STOP)
    }

    /// Thaws it.
    pub fn thaw(&self) -> Result<()> {
        self.process().signal(Signal::CONT)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        state(&self.home)
    }

    /// The metadata of one container.
    pub fn metadata(&self, pod_uid: &str, container_id: &str) -> PathBuf {
        self.state()
            .join(pod_uid)
            .join(container_id)
            .join("metadata.json")
    }

    /// Where its endpoints are, `ADDRESS:PORT`.
    pub fn endpoints(&self) -> Result<String> {
        let lines = self.lines();
        let mut lines = lines.iter().rev();
        let line = lines.find(|line| line["msg"] == "serving metrics");
        let address = line.and_then(|line| line["addr"].as_str());
        let address = address.context("the plugin does not say where it serves metrics")?;
        Ok(address.to_owned())
    }

    /// The log file, stdout and stderr.
    pub fn log(&self) -> PathBuf {
        log(&self.home)
    }

    /// A position in the log, for [`Plugin::lines_since`].
    pub fn mark(&self) -> usize {
        self.lines().len()
    }

    /// Every log line that is JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The log lines after a mark.
    pub fn lines_since(&self, mark: usize) -> Vec<Value> {
        self.lines().split_off(mark)
    }

    /// Waits until the runtime has registered the plugin after `mark`.
    pub fn wait_until_registered(&self, mark: usize) -> Result<()> {
        self.wait_for_line("a line \"registered\" in the plugin's log", mark, |line| {
            line["msg"] == "registered"
        })
        .map(drop)
        .with_context(|| format!("the plugin's log ends with:\n{}", tail(&self.log(), 15)))
    }

    /// Waits for a log line after `mark`.
    pub fn wait_for_line(
        &self,
        what: &str,
        mark: usize,
        accept: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(what, LIMIT, || {
            let found = self.lines_since(mark).into_iter().find(|line| accept(line));
            if found.is_none() {
                self.process().check_alive()?;
            }
            Ok(found)
        })
    }
}

/// The last lines of a file.
pub fn tail(path: &Path, count: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn spawn(territory: &Territory, binary: &Path) -> Result<Background> {
    let home = territory.scratch();
    let mut command = Command::new(binary);
    command
        .arg("--config")
        .arg(config(home))
        .args(["--json", "--log-level", "debug"])
        .args(["--metrics-addr", "127.0.0.1:0"]);
    territory.spawn("the plugin", &mut command, &log(home))
}

fn render(home: &Path, install: &Install) -> String {
    let (socket, state) = (home.join("nri.sock"), state(home));
    format!(
        r#"runtime_classes = ["{SANDBOXED}"]
default_profile = "default"
nono_bin_path = "{}"
socket_path = "{}"
state_dir = "{}"
"#,
        install.launcher().display(),
        socket.display(),
        state.display()
    )
}

fn config(home: &Path) -> PathBuf {
    home.join("10-nono-nri.toml")
}

fn state(home: &Path) -> PathBuf {
    home.join("nono-state")
}

fn log(home: &Path) -> PathBuf {
    home.join("logs/plugin.log")
}
