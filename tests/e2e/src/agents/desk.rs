//! Where an agent works: a user, and the volumes that hold its home and its workspace.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::daemon::{BASELINE, SANDBOXED};
use crate::node::Node;
use crate::pod::Exit;

/// Agents are large programs; nothing waits this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// The mount point of the workspace, and the working directory.
pub(super) const WORKSPACE: &str = "/workspace";

/// Where every kubelet mounts the service account.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A user of the images.
#[derive(Debug)]
pub(super) struct User {
    /// For the checks' names.
    pub(super) name: &'static str,
    uid: u32,
    pub(super) home: &'static str,
}

/// Root, and a user without capabilities.
pub(super) const USERS: [&User; 2] = [
    &User {
        name: "root",
        uid: 0,
        home: "/root",
    },
    &User {
        name: "user 1000",
        uid: 1000,
        home: "/home/agent",
    },
];

/// The volumes of one check, empty at first.
#[derive(Debug)]
pub(super) struct Desk<'n> {
    node: &'n Node,
    pub(super) user: &'static User,
    /// The home, as the host sees it.
    pub(super) home: PathBuf,
    /// The workspace, as the host sees it.
    pub(super) workspace: PathBuf,
    service_account: PathBuf,
}

/// What a container at a desk runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// The image.
    pub(super) image: &'a str,
    /// The profile, or none for a pod without a sandbox.
    pub(super) profile: Option<&'a str>,
    /// The command.
    pub(super) command: &'a [&'a str],
    /// Variables; a value that begins with `~` is below the home.
    pub(super) env: &'a [(&'a str, &'a str)],
}

impl<'n> Desk<'n> {
    /// Makes the volumes.
    pub(super) fn new(node: &'n Node, user: &'static User) -> Result<Self> {
        let volumes = node.scratch().join("desks").join(node.unique("desk"));
        let desk = Self {
            node,
            user,
            home: volumes.join("home"),
            workspace: volumes.join("workspace"),
            service_account: volumes.join("service-account"),
        };
        for volume in [&desk.home, &desk.workspace, &desk.service_account] {
            fs::create_dir_all(volume).context("cannot make a volume")?;
            chown(volume, Some(user.uid), Some(user.uid))?;
        }
        fs::write(desk.service_account.join("token"), "token-of-the-pod")?;
        Ok(desk)
    }

    /// Writes a file of the user's into the home, with the directories above it.
    pub(super) fn write_home(&self, file: &str, content: &str) -> Result<()> {
        write_as(self.user, &self.home, file, content)
    }

    /// Writes a file of the user's into the workspace.
    pub(super) fn write_workspace(&self, file: &str, content: &str) -> Result<()> {
        write_as(self.user, &self.workspace, file, content)
    }

    /// Runs a job to its end.
    pub(super) fn run(&self, job: Job<'_>) -> Result<Exit> {
        let handler = job.profile.map_or(BASELINE, |_| SANDBOXED);
        let pod = self.node.pod("desk").handler(handler);
        let pod = match job.profile {
            Some(profile) => pod.annotation("nono.sh/profile", profile),
            None => pod,
        };
        let pod = pod.run()?;
        let env: Vec<(&str, String)> = job
            .env
            .iter()
            .map(|(name, value)| (*name, self.in_container(value)))
            .collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
        let mut request = pod
            .container(job.image, job.command)
            .env(&env)
            .user(self.user.uid)
            .default_seccomp()
            .working_dir(WORKSPACE)
            .mount(&self.home.to_string_lossy(), self.user.home)
            .mount(&self.workspace.to_string_lossy(), WORKSPACE)
            .mount_read_only(&self.service_account.to_string_lossy(), SERVICE_ACCOUNT);
        if self.user.uid != 0 {
            request = request.without_capabilities();
        }
        request.finish(LIMIT)
    }

    /// Like [`Desk::run`]; an error unless it ends with 0 and prints `text`.
    pub(super) fn expect(&self, job: Job<'_>, text: &str) -> Result<()> {
        expect(self.run(job)?, 0, text).with_context(|| job.command.join(" "))
    }

    fn in_container(&self, value: &str) -> String {
        match value.strip_prefix('~') {
            Some(rest) => format!("{}{rest}", self.user.home),
            None => value.to_owned(),
        }
    }
}

/// An error unless the exit status is `code` and the output contains `text`.
pub(super) fn expect(exit: Exit, code: i64, text: &str) -> Result<()> {
    let output = exit.expect(code)?;
    ensure!(output.contains(text), "no {text:?} in {output:?}");
    Ok(())
}

fn write_as(user: &User, volume: &Path, file: &str, content: &str) -> Result<()> {
    let mut directory = volume.to_owned();
    let (above, name) = file.rsplit_once('/').unwrap_or(("", file));
    for component in above.split('/').filter(|component| !component.is_empty()) {
        directory.push(component);
        fs::create_dir_all(&directory)?;
        chown(&directory, Some(user.uid), Some(user.uid))?;
    }
    let path = directory.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    chown(&path, Some(user.uid), Some(user.uid))?;
    Ok(())
}
