//! The node's view of the file system: directories of its own under their real names, everything else read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::repository;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount,
};
use rustix::system::sethostname;

use super::NODE;

/// Private directories: what they are called in the scratch directory, and where they appear.
const PRIVATE: [(&str, &str); 5] = [
    ("etc", "/etc"),
    ("opt", "/opt"),
    ("var-lib", "/var/lib"),
    ("var-log", "/var/log"),
    ("usr-local", "/usr/local"),
];
const RUN: &str = "/run";

/// What the kubelet sets for the whole kernel: on the node, these are ordinary files.
const KERNEL_WIDE: [&str; 6] = [
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
];

/// Directories of the machine's /etc that would configure the node.
const NOT_INHERITED: [&str; 6] = [
    "cni",
    "containerd",
    "crio",
    "kubefence",
    "kubernetes",
    "nri",
];

/// Before the namespaces: makes what becomes /etc, /opt and so on.
pub(crate) fn prepare(scratch: &Path) -> Result<()> {
    let programs = [repository::root(), std::env::current_exe()?];
    for path in &programs {
        check_visible(path)?;
    }
    for (name, _) in PRIVATE {
        let path = scratch.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    let status = Command::new("cp")
        .args(["--archive", "--no-target-directory", "/etc"])
        .arg(scratch.join("etc"))
        .status()
        .context("cannot run cp")?;
    ensure!(status.success(), "cannot copy /etc: {status}");
    for name in NOT_INHERITED {
        let _ = fs::remove_dir_all(scratch.join("etc").join(name));
    }
    Ok(())
}

/// What the kubelet changes in the kernel, as it is.
pub(crate) fn kernel_wide() -> Vec<(&'static str, String)> {
    let value = |path: &'static str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        (path, text.trim().to_owned())
    };
    KERNEL_WIDE.into_iter().map(value).collect()
}

/// In the namespaces: builds the node's view. Mounts are private already, `unshare` sees to that.
pub(crate) fn enter(scratch: &Path) -> Result<()> {
    mount("proc", "/proc", "proc", MountFlags::empty(), None).context("cannot mount /proc")?;
    sethostname(NODE.as_bytes()).context("cannot set the host's name")?;
    for (name, place) in PRIVATE {
        bind(&scratch.join(name), Path::new(place))?;
    }
    mount("run", RUN, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .context("cannot mount /run")?;
    for writable in [scratch, Path::new("/tmp")] {
        bind(writable, writable)?;
    }
    read_only(Path::new("/"))?;
    for path in KERNEL_WIDE.into_iter().map(Path::new) {
        mask(scratch, path)?;
    }
    // Volumes with mount propagation need it, and these mounts have no peers outside.
    mount_change(
        "/",
        MountPropagationFlags::SHARED | MountPropagationFlags::REC,
    )
    .context("cannot share mounts")
}

fn check_visible(path: &Path) -> Result<()> {
    let hidden = PRIVATE.iter().map(|(_, place)| *place).chain([RUN]);
    let over = hidden.into_iter().find(|place| path.starts_with(place));
    ensure!(
        over.is_none(),
        "{} lies below {}, of which the node has its own: move it elsewhere",
        path.display(),
        over.unwrap_or_default()
    );
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount_bind(from, to)
        .with_context(|| format!("cannot mount {} at {}", from.display(), to.display()))
}

fn read_only(path: &Path) -> Result<()> {
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY, "")
        .with_context(|| format!("cannot make {} read-only", path.display()))
}

/// Has writes end in a file of ours.
fn mask(scratch: &Path, path: &Path) -> Result<()> {
    let Ok(value) = fs::read_to_string(path) else {
        return Ok(());
    };
    let copy: PathBuf = scratch
        .join("kernel")
        .join(path.file_name().unwrap_or_default());
    fs::create_dir_all(scratch.join("kernel"))?;
    fs::write(&copy, value).with_context(|| format!("cannot write {}", copy.display()))?;
    bind(&copy, path)
}
