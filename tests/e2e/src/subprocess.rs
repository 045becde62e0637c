//! Child processes: short commands with a time limit, and long-running ones that are ended for certain.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Runs a program to its end under coreutils' `timeout`, whatever its exit code.
pub fn output(program: &Path, arguments: &[&str], limit: Duration) -> Result<Output> {
    output_with(program, arguments, &[], limit)
}

/// Like [`output`], with additional environment variables.
pub fn output_with(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
    limit: Duration,
) -> Result<Output> {
    Command::new("timeout")
        // In the foreground, so that Ctrl-C reaches it: debootstrap has mounts to take away.
        .args([
            "--foreground",
            "--kill-after=5",
            &limit.as_secs().to_string(),
        ])
        .arg(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))
}

/// Like [`output`], but a failure is an error that carries what the program printed on stderr.
pub fn text(program: &Path, arguments: &[&str], limit: Duration) -> Result<String> {
    text_with(program, arguments, &[], limit)
}

/// Like [`text`], with additional environment variables.
pub fn text_with(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
    limit: Duration,
) -> Result<String> {
    let output = output_with(program, arguments, variables, limit)?;
    if !output.status.success() {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let verb = arguments
            .iter()
            .find(|argument| !argument.starts_with('-'))
            .unwrap_or(&"");
        let messages = String::from_utf8_lossy(&output.stderr);
        bail!("{name} {verb}: {}: {}", output.status, messages.trim());
    }
    String::from_utf8(output.stdout).context("output is not UTF-8")
}

/// A background process with its output in a file. Clones refer to the same process.
#[derive(Clone, Debug)]
pub struct Background {
    name: String,
    child: Arc<Mutex<Child>>,
}

impl Background {
    /// Starts the command in a process group of its own, so that Ctrl-C reaches only us, and we end it in order.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child: Arc::new(Mutex::new(child)),
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process ID; it stays ours until the process is reaped by [`Background::stop`].
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// An error if the process has ended already.
    pub fn check_alive(&self) -> Result<()> {
        match self.child().try_wait()? {
            Some(status) => Err(anyhow!("{} ended early: {status}", self.name)),
            None => Ok(()),
        }
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks the process to end, then kills it. Returns its exit code, none after a signal.
    pub fn stop(&self, patience: Duration) -> Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        // A stopped process would never see it.
        self.signal(Signal::CONT)?;
        let ended = wait::until(&self.name, patience, || Ok(self.child().try_wait()?));
        match ended {
            Ok(status) => Ok(status.code()),
            Err(_) => self.kill(),
        }
    }

    /// Kills the process and waits for its end.
    pub fn kill(&self) -> Result<Option<i32>> {
        let mut child = self.child();
        child
            .kill()
            .with_context(|| format!("cannot kill {}", self.name))?;
        Ok(child.wait()?.code())
    }
}
