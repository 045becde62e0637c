//! Containers that the guard did not create: older than it, or their record was lost.
//!
//! Their confinement is told from what the runtime keeps of them, if the launcher in them is the node's. As they run, and
//! may have changed their root file system, nothing in it is looked up: what cannot be told without is not granted.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use kubefence_injection::{is_launcher_mount, wrapping};
use kubefence_node_files::records::Confinement;
use kubefence_profile::LAUNCHER;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use serde::Deserialize;

use crate::annotations::{is_sandbox, profile};
use crate::config::Config;
use crate::confinement::published;
use crate::files;
use crate::spec::{Process, Spec};
use crate::variables::variables;

/// What runc keeps of a container, as far as it matters.
#[derive(Deserialize)]
struct State {
    init_process_pid: i32,
    config: StateConfig,
}

#[derive(Deserialize)]
struct StateConfig {
    #[serde(default)]
    labels: Vec<String>,
}

impl State {
    fn of(root: &Path, id: &str) -> anyhow::Result<Self> {
        let text = files::read(&root.join(id).join("state.json"))?;
        serde_json::from_str(&text).context("the runtime's state.json is not as runc writes it")
    }

    /// The bundle. An annotation called `bundle` gives a label of the same form, in front of the real one.
    fn bundle(&self) -> Option<PathBuf> {
        let labels = self.config.labels.iter().rev();
        let mut bundles = labels.filter_map(|label| label.strip_prefix("bundle="));
        bundles.next().map(PathBuf::from)
    }
}

/// Tells how a running container is confined.
pub(crate) fn adopt(config: &Config, root: &Path, id: &str) -> anyhow::Result<Confinement> {
    let state = State::of(root, id)?;
    let bundle = state
        .bundle()
        .context("the runtime does not know its bundle")?;
    let text = files::read(&bundle.join("config.json"))?;
    let spec = Spec::read(&text)?;
    let annotations = spec.annotations()?;
    ensure!(
        !is_sandbox(config.called_by, &annotations, id),
        "it is the sandbox of a pod"
    );
    let profile = profile(config, &annotations)?;
    let process = Process::read(spec.process()?)?;
    let wrapping = match wrapping(&process.args) {
        Some(wrapping) if wrapping.profile == profile => wrapping,
        _ => bail!(
            "it was not started under profile {:?}: delete the pod",
            profile.as_str()
        ),
    };
    let mounts = spec.mounts()?;
    ensure!(
        mounts
            .iter()
            .any(|mount| is_launcher_mount(&mount.view(), &config.launcher_dir)),
        "it was started without the launcher: delete the pod"
    );
    check_launcher_inside(config, state.init_process_pid)?;
    if wrapping.plan.is_some() {
        // The guard did create it, and lost the record.
        return Ok(Confinement {
            profile,
            plan: wrapping.plan,
            variables: wrapping.variables,
        });
    }
    let entrypoint = &process.args[wrapping.len];
    let variables = variables(&process, &process.env()?, entrypoint, None)?;
    Ok(Confinement {
        plan: published(config, &profile)?.map(|published| published.digest),
        profile,
        variables,
    })
}

/// Checks that what a container has at the launcher's place is the launcher.
fn check_launcher_inside(config: &Config, pid: i32) -> anyhow::Result<()> {
    let root = File::open(format!("/proc/{pid}/root")).context("it does not run")?;
    let path = LAUNCHER.trim_start_matches('/');
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let inside = openat2(&root, path, flags, Mode::empty(), resolve)
        .and_then(fstat)
        .with_context(|| format!("it has no launcher at {LAUNCHER}: delete the pod"))?;
    let outside = fs::symlink_metadata(config.launcher_dir.to_path().join("nono"))?;
    ensure!(
        (inside.st_dev, inside.st_ino) == (outside.dev(), outside.ino()),
        "what it has at {LAUNCHER} is not the node's launcher: delete the pod"
    );
    Ok(())
}
