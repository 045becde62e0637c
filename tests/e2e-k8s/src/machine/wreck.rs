//! What a power cut leaves of a node: no process of a container, no mount, an empty /run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wait;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use super::cgroup;

const LIMIT: Duration = Duration::from_secs(30);
/// Where runtime and kubelet mount things.
const MOUNTED: [&str; 3] = ["/run", "/var/lib/containerd", "/var/lib/kubelet"];

/// Kills and unmounts everything that runtime and kubelet have made.
pub(super) fn clear(cgroup: &str) -> Result<()> {
    wait::until("the end of all containers", LIMIT, || {
        let mut doomed = shims();
        doomed.extend(cgroup::members(cgroup, "kubepods"));
        for pid in &doomed {
            let _ = kill_process(*pid, Signal::KILL);
        }
        Ok(doomed.is_empty().then_some(()))
    })?;
    for mount in mounts() {
        unmount(&mount, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    empty(Path::new("/run"))
}

fn shims() -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        // The kernel keeps 15 bytes of a name.
        let state = fs::read_to_string(entry.path().join("stat")).ok()?;
        let dead = state.rsplit(')').next()?.trim_start().starts_with('Z');
        (name.starts_with("containerd-shim") && !dead).then(|| Pid::from_raw(pid))?
    });
    pids.collect()
}

/// What is mounted below those directories, the latest first.
fn mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    let below = |path: &PathBuf| {
        MOUNTED
            .iter()
            .any(|place| path.starts_with(place) && path != Path::new(place))
    };
    let mut found: Vec<PathBuf> = points.map(PathBuf::from).filter(below).collect();
    found.reverse();
    found
}

fn empty(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
