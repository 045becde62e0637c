//! One long-running process of the node, which can be ended and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::plugin::tail;
use e2e::subprocess::Background;

use super::on_node;

const PATIENCE: Duration = Duration::from_secs(30);
const LAST_LINES: usize = 8;

/// How a process is started, and the process, if it runs.
pub(super) struct Component {
    name: &'static str,
    arguments: Vec<String>,
    scratch: PathBuf,
    process: Mutex<Option<Background>>,
}

impl Component {
    /// Describes it; nothing runs yet. `name` is the program's, found on the node's `PATH`.
    pub(super) fn new(name: &'static str, arguments: Vec<String>, scratch: &Path) -> Self {
        Self {
            name,
            arguments,
            scratch: scratch.to_owned(),
            process: Mutex::new(None),
        }
    }

    /// Starts it.
    pub(super) fn start(&self) -> Result<()> {
        let mut command: Command = on_node(self.name, &self.scratch);
        command.args(&self.arguments).env_remove("KUBECONFIG");
        let process = Background::spawn(self.name, &mut command, &self.log())?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Ends it in order.
    pub(super) fn stop(&self) -> Result<()> {
        match self.process().take() {
            Some(process) => process.stop(PATIENCE).map(drop),
            None => Ok(()),
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&self) -> Result<()> {
        match self.process().take() {
            Some(process) => process.kill().map(drop),
            None => Ok(()),
        }
    }

    /// Ends it in order and starts it again.
    pub(super) fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Its process ID.
    pub(super) fn pid(&self) -> Result<u32> {
        let process = self.process();
        let process = process
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))?;
        Ok(process.pid())
    }

    /// An error if it has ended by itself.
    pub(super) fn check_alive(&self) -> Result<()> {
        match &*self.process() {
            Some(process) => process.check_alive(),
            None => bail!("{} does not run", self.name),
        }
    }

    /// The end of its log, for an error's context.
    pub(super) fn last_words(&self) -> String {
        let log = self.log();
        format!(
            "{} ({}) ended with:\n{}",
            self.name,
            log.display(),
            tail(&log, LAST_LINES)
        )
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("logs").join(format!("{}.log", self.name))
    }

    fn process(&self) -> MutexGuard<'_, Option<Background>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
