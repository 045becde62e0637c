//! Calls of an OCI runtime, timed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

const DELETIONS: usize = 5;

/// runc, or the guard in front of it.
#[derive(Debug)]
pub(super) struct Runtime {
    program: PathBuf,
    root: PathBuf,
    messages: PathBuf,
}

impl Runtime {
    /// `root` is where it keeps its state.
    pub(super) fn new(program: &Path, root: &Path) -> Self {
        Self {
            program: program.to_owned(),
            root: root.to_owned(),
            messages: root.with_extension("log"),
        }
    }

    /// `--version`.
    pub(super) fn version(&self) -> anyhow::Result<Duration> {
        self.time(Command::new(&self.program).arg("--version"))
    }

    /// A command as containerd's shim gives it.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root);
        command.arg("--log").arg(&self.messages);
        command.args(["--log-format", "json", name]);
        command
    }

    fn time(&self, command: &mut Command) -> anyhow::Result<Duration> {
        // Pipes would have to be read: containers inherit what their runtime was given.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        let elapsed = start.elapsed();
        let messages = || fs::read_to_string(&self.messages).unwrap_or_default();
        ensure!(
            status.success(),
            "{command:?} failed: {status}: {}",
            messages().lines().last().unwrap_or_default()
        );
        Ok(elapsed)
    }
}

/// A container, deleted when dropped.
#[derive(Debug)]
pub(super) struct Container<'a> {
    runtime: &'a Runtime,
    id: String,
    is_deleted: bool,
}

impl<'a> Container<'a> {
    /// Creates it from a bundle.
    pub(super) fn create(runtime: &'a Runtime, bundle: &Path) -> anyhow::Result<(Self, Duration)> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let container = Self {
            runtime,
            id: format!("kubefence-bench-{}-{next}", std::process::id()),
            is_deleted: false,
        };
        let mut command = runtime.command("create");
        command.arg("--bundle").arg(bundle);
        command.arg("--pid-file").arg(bundle.join("pid"));
        let elapsed = runtime.time(command.arg(&container.id))?;
        Ok((container, elapsed))
    }

    /// Starts its first process.
    pub(super) fn start(&self) -> anyhow::Result<()> {
        let mut command = self.runtime.command("start");
        self.runtime.time(command.arg(&self.id)).map(drop)
    }

    /// Runs the process that `text` describes, through another runtime with the same state.
    pub(super) fn exec(
        &self,
        runtime: &Runtime,
        file: &Path,
        text: &str,
        detached: bool,
    ) -> anyhow::Result<Duration> {
        // The guard rewrites it.
        fs::write(file, text)?;
        let mut command = runtime.command("exec");
        command.arg("--process").arg(file);
        command.args(detached.then_some("--detach"));
        runtime.time(command.arg(&self.id))
    }

    /// Kills and deletes it.
    pub(super) fn delete(mut self) -> anyhow::Result<()> {
        self.is_deleted = true;
        self.take_away()
    }

    /// As often as a container runtime would: the kernel may still hold a cgroup whose last process is just gone.
    fn take_away(&self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for _ in 0..DELETIONS {
            let mut command = self.runtime.command("delete");
            let command = command.args(["--force", &self.id]);
            outcome = self.runtime.time(command).map(drop);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if !self.is_deleted {
            let _ = self.take_away();
        }
    }
}
