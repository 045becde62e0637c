//! /dev as a runtime fills it, and a terminal for the probe.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, mount_bind};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

use super::container::{mount_as, tmpfs};
use crate::runs::User;

const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Fills the directory.
pub(super) fn make(dev: &Path) -> Result<()> {
    tmpfs(dev, MountFlags::NOSUID, "mode=755")?;
    for (name, major, minor) in NODES {
        let path = dev.join(name);
        let mode = Mode::from_raw_mode(0o666);
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            mode,
            makedev(major, minor),
        )
        .and_then(|()| rustix::fs::chmod(&path, mode))
        .with_context(|| format!("cannot make {}", path.display()))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name))?;
    }
    File::create(dev.join("console"))?;
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    let terminals = "newinstance,ptmxmode=0666,mode=0620";
    mount_as("devpts", &dev.join("pts"), quiet, terminals)?;
    tmpfs(&dev.join("shm"), quiet | MountFlags::NODEV, "mode=1777")
}

/// A pseudo-terminal; it hangs up when this is dropped.
pub(super) struct Terminal {
    _controller: OwnedFd,
    path: PathBuf,
}

/// Opens a terminal that belongs to `user`, and makes it the console as well.
pub(super) fn terminal(user: User) -> Result<Terminal> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags).context("cannot open a terminal")?;
    unlockpt(&controller)?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(
        ptsname(&controller, Vec::new())?.into_bytes(),
    ));
    chown(&path, Some(user.id()), None)?;
    mount_bind(&path, "/dev/console").context("cannot mount the console")?;
    Ok(Terminal {
        _controller: controller,
        path,
    })
}

impl Terminal {
    /// The side that programs use.
    pub(super) fn reopen(&self) -> Result<File> {
        let mut options = File::options();
        options.read(true).write(true);
        options
            .open(&self.path)
            .with_context(|| format!("cannot open {}", self.path.display()))
    }
}
