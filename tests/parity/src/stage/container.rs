//! The container: an overlay on the image, mounts as a runtime makes them, and the way in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::{OURS, PROBE, UPSTREAM, devices};
use crate::workshop::Layout;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Builds the container and makes it this process's root.
pub(super) fn enter(layout: &Layout) -> Result<()> {
    let root = &overlay(layout)?;
    kernel(root)?;
    let directories = MountFlags::NOSUID | MountFlags::NODEV;
    for (place, mode) in [("tmp", "mode=1777"), ("run", "mode=755")] {
        tmpfs(&root.join(place), directories, mode)?;
    }
    devices::make(&root.join("dev"))?;
    for (source, place) in [(layout.ours(), OURS), (layout.upstream(), UPSTREAM)] {
        bind_read_only(&source, &below(root, place))?;
    }
    let probe = below(root, PROBE);
    fs::copy(layout.probe(), &probe).context("cannot install the probe")?;
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o755))?;
    become_root(root).with_context(|| format!("cannot enter {}", root.display()))
}

/// A fresh copy of the image that nothing can change: writes stay in memory.
fn overlay(layout: &Layout) -> Result<std::path::PathBuf> {
    let stage = layout.stage();
    tmpfs(&stage, MountFlags::empty(), "mode=755")?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| stage.join(name));
    for directory in [&upper, &work, &root] {
        fs::create_dir(directory)?;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layout.rootfs().display(),
        upper.display(),
        work.display()
    );
    mount_as("overlay", &root, MountFlags::empty(), &options)?;
    Ok(root)
}

/// /proc of our own PID namespace, /sys and control groups, as a container has them: no setting can be changed.
fn kernel(root: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let proc = root.join("proc");
    mount_as("proc", &proc, flags, "")?;
    bind_read_only(&proc.join("sys"), &proc.join("sys"))?;
    mount_as("sysfs", &root.join("sys"), flags | MountFlags::RDONLY, "")?;
    let cgroups = below(root, CGROUPS);
    mount_bind_recursive(CGROUPS, &cgroups)
        .with_context(|| format!("cannot mount {}", cgroups.display()))
}

fn become_root(root: &Path) -> rustix::io::Result<()> {
    chdir(root)?;
    // Stacks the old root on the new one; see pivot_root(2).
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// A tmpfs.
pub(super) fn tmpfs(target: &Path, flags: MountFlags, options: &str) -> Result<()> {
    mount_as("tmpfs", target, flags, options)
}

/// A file system that is named like its source.
pub(super) fn mount_as(kind: &str, target: &Path, flags: MountFlags, options: &str) -> Result<()> {
    let options = std::ffi::CString::new(options)?;
    mount(kind, target, kind, flags, options.as_c_str())
        .with_context(|| format!("cannot mount {kind} on {}", target.display()))
}

fn bind_read_only(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    mount_bind(source, target)
        .and_then(|()| mount_remount(target, flags, ""))
        .with_context(|| format!("cannot mount {}", target.display()))
}

/// The place of an absolute path of the container before it was entered.
fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}
