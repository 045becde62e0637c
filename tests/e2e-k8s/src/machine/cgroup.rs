//! The node's part of each cgroup hierarchy, one or many: its processes in `machine`, its pods in `kubepods`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Pid;

const ROOT: &str = "/sys/fs/cgroup";
/// Where processes are that are no pod's: a cgroup with children may hold none itself.
const LEAF: &str = "machine";

/// The node's name in every hierarchy.
pub(crate) fn name_of(scratch: &Path) -> String {
    scratch
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Makes the node's directories.
pub(crate) fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        delegate(&hierarchy)?;
        let ours = hierarchy.join(name);
        make(&hierarchy, &ours)?;
        delegate(&ours)?;
        make(&ours, &ours.join(LEAF))?;
    }
    Ok(())
}

/// Moves this process, and with it all that it will start.
pub(crate) fn join(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let procs = hierarchy.join(name).join(LEAF).join("cgroup.procs");
        // Zero is whoever writes it, in whatever namespace.
        fs::write(&procs, "0").with_context(|| format!("cannot join {}", procs.display()))?;
    }
    Ok(())
}

/// The processes of a subdirectory and all below, without duplicates.
pub(super) fn members(name: &str, below: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for hierarchy in hierarchies().unwrap_or_default() {
        collect(&hierarchy.join(name).join(below), &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// What is left of the node's directories.
pub(crate) fn remains(name: &str) -> Vec<PathBuf> {
    let all = hierarchies().unwrap_or_default().into_iter();
    all.map(|hierarchy| hierarchy.join(name))
        .filter(|path| path.exists())
        .collect()
}

fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root]);
    }
    let entries = fs::read_dir(&root).context("cannot read /sys/fs/cgroup")?;
    let mut found = Vec::new();
    for entry in entries {
        // Links are second names of hierarchies.
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn make(parent: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the cgroup {}", directory.display()))?;
    // In the hierarchy of CPU sets, a new directory admits nobody until it has some.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        let is_old = !parent.join("cgroup.controllers").exists();
        if own.exists() && is_old {
            let value = fs::read_to_string(parent.join(file))?;
            fs::write(&own, value.trim())
                .with_context(|| format!("cannot write {}", own.display()))?;
        }
    }
    Ok(())
}

/// Hands all controllers down, where there is a unified hierarchy.
fn delegate(directory: &Path) -> Result<()> {
    let Ok(controllers) = fs::read_to_string(directory.join("cgroup.controllers")) else {
        return Ok(());
    };
    for controller in controllers.split_whitespace() {
        let file = directory.join("cgroup.subtree_control");
        fs::write(&file, format!("+{controller}"))
            .with_context(|| format!("cannot delegate {controller} in {}", file.display()))?;
    }
    Ok(())
}

fn collect(directory: &Path, found: &mut Vec<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    let children = fs::read_dir(directory).into_iter().flatten().flatten();
    for child in children.filter(|entry| entry.path().is_dir()) {
        collect(&child.path(), found);
    }
}
