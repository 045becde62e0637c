//! One container of Podman's: request, life, exit.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{CALL_LIMIT, Podman};
use crate::images;
use crate::pod::Exit;
use crate::wait;

/// A container to be run.
#[derive(Debug)]
pub struct PodmanRequest<'p> {
    podman: &'p Podman,
    image: String,
    command: Vec<String>,
    options: Vec<String>,
    runtime: PathBuf,
}

impl<'p> PodmanRequest<'p> {
    pub(super) fn new(podman: &'p Podman, image: &str, command: &[&str]) -> Self {
        let options = [
            "--pull=never",
            "--network=host",
            "--log-driver=k8s-file",
            // Podman's own are higher than what a machine that runs the tests may give.
            "--ulimit=nofile=4096:4096",
            "--ulimit=nproc=4096:4096",
            &podman.cgroup_parent(),
        ];
        Self {
            podman,
            image: images::reference(image),
            command: command.iter().map(ToString::to_string).collect(),
            options: options.map(str::to_owned).into(),
            runtime: podman.runtime(),
        }
    }

    /// Leaves out the guard, for controls.
    pub fn bare(mut self) -> Self {
        self.runtime.clone_from(&self.podman.runc);
        self
    }

    /// Passes an option of `podman run`, like `--privileged`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn env(self, key: &str, value: &str) -> Self {
        self.option(&format!("--env={key}={value}"))
    }

    /// Adds an annotation.
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.option(&format!("--annotation={key}={value}"))
    }

    /// Bind-mounts a directory of the host.
    pub fn mount(self, host: &str, container: &str) -> Self {
        self.option(&format!("--volume={host}:{container}"))
    }

    /// Starts in this directory.
    pub fn working_dir(self, path: &str) -> Self {
        self.option(&format!("--workdir={path}"))
    }

    /// Runs as this user.
    pub fn user(self, uid: u32) -> Self {
        self.option(&format!("--user={uid}"))
    }

    /// Starts the container in the background. The error is what Podman says.
    pub fn run(self) -> Result<PodmanContainer<'p>> {
        let podman = self.podman;
        let id = podman.call(&strings(&self.arguments(&["run", "--detach"])))?;
        Ok(PodmanContainer { podman, id })
    }

    /// Creates the container without starting it; the OCI runtime is not called yet.
    pub fn create(self) -> Result<PodmanContainer<'p>> {
        let podman = self.podman;
        let id = podman.call(&strings(&self.arguments(&["create"])))?;
        Ok(PodmanContainer { podman, id })
    }

    /// Runs the container and waits for its end.
    pub fn finish(self, limit: Duration) -> Result<Exit> {
        self.run()?.wait(limit)
    }

    /// Starts the container and expects a refusal; returns its message.
    pub fn refusal(self) -> Result<String> {
        match self.run() {
            Ok(_) => bail!("the container was started, it should have been refused"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    fn arguments(&self, verb: &[&str]) -> Vec<String> {
        let runtime = format!("--runtime={}", self.runtime.display());
        let mut arguments = vec![runtime];
        arguments.extend(verb.iter().map(ToString::to_string));
        arguments.extend(self.options.iter().cloned());
        if !self.command.is_empty() {
            // As JSON it is the whole command, and the image's own arguments do not count.
            arguments.push(format!("--entrypoint={}", json!(self.command)));
        }
        arguments.push(self.image.clone());
        arguments
    }
}

/// A container in the background.
#[derive(Debug)]
pub struct PodmanContainer<'p> {
    podman: &'p Podman,
    id: String,
}

impl PodmanContainer<'_> {
    /// The container ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts it after [`PodmanRequest::create`].
    pub fn start(&self) -> Result<()> {
        self.podman.call(&["start", &self.id]).map(drop)
    }

    /// `podman inspect`.
    pub fn inspect(&self) -> Result<Value> {
        let text = self.podman.call(&["container", "inspect", &self.id])?;
        let mut list: Value = serde_json::from_str(&text).context("podman prints no JSON")?;
        Ok(list[0].take())
    }

    /// The OCI spec it was created from.
    pub fn oci_spec(&self) -> Result<Value> {
        let path: PathBuf = self.podman.bundle(&self.id).join("config.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
    }

    /// The host's ID of its first process.
    pub fn pid(&self) -> Result<i64> {
        self.inspect()?["State"]["Pid"]
            .as_i64()
            .context("podman reports no process ID")
    }

    /// Runs a command inside and returns stdout.
    pub fn exec(&self, command: &[&str]) -> Result<String> {
        self.podman.call(&self.exec_arguments(&[], command))
    }

    /// Like [`PodmanContainer::exec`] with options of `podman exec`, whatever the exit status.
    pub fn exec_output(&self, options: &[&str], command: &[&str]) -> Result<Output> {
        let arguments = self.exec_arguments(options, command);
        self.podman.storage.podman_output(&arguments, CALL_LIMIT)
    }

    fn exec_arguments<'a>(&'a self, options: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        let own = ["exec"].into_iter().chain(options.iter().copied());
        own.chain([self.id.as_str()])
            .chain(command.iter().copied())
            .collect()
    }

    /// What it printed so far, stdout and stderr.
    pub fn output(&self) -> Result<String> {
        let logs = ["logs", &self.id];
        let output = self.podman.storage.podman_output(&logs, CALL_LIMIT)?;
        let streams = [output.stdout, output.stderr];
        Ok(streams
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect())
    }

    /// Waits until the output contains `text`; an error if the container ends without it.
    pub fn wait_for_output(&self, text: &str, limit: Duration) -> Result<()> {
        wait::until(&format!("container output {text:?}"), limit, || {
            let exited = self.inspect()?["State"]["Status"] == "exited";
            let output = self.output()?;
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
        let state = wait::until(&format!("container {} to exit", self.id), limit, || {
            let state = self.inspect()?["State"].take();
            Ok((state["Status"] == "exited").then_some(state))
        })?;
        let code = state["ExitCode"]
            .as_i64()
            .context("podman reports no exit code")?;
        Ok(Exit {
            code,
            output: self.output()?,
        })
    }

    /// SIGTERM, then SIGKILL after `grace` seconds.
    pub fn stop(&self, grace: u32) -> Result<()> {
        let grace = format!("--time={grace}");
        self.podman.call(&["stop", &grace, &self.id]).map(drop)
    }

    /// Removes it, running or not.
    pub fn remove(&self) -> Result<()> {
        let remove = ["rm", "--force", "--time=0", &self.id];
        self.podman.call(&remove).map(drop)
    }
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
