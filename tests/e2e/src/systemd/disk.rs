//! The guest's disks: Debian, which is kept, and what is tested, which is made anew each time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::images;
use crate::repository::{self, Versions, tool_home};
use crate::scratch::Scratch;
use crate::subprocess;
use crate::terminal::progress;

const LIMIT: Duration = Duration::from_secs(900);
const PACKAGES: &str = "systemd-sysv,dbus,linux-image-cloud-amd64,iproute2,kmod,procps";

/// Runs what is on the second disk, and ends the guest.
const UNIT: &str = "[Unit]
Description=What is tested
After=multi-user.target dbus.socket

[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /payload
ExecStart=/bin/sh /payload/run.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
";

/// Debian on a disk, and its kernel.
#[derive(Debug)]
pub(super) struct Base {
    directory: PathBuf,
}

impl Base {
    pub(super) fn disk(&self) -> PathBuf {
        self.directory.join("disk.ext4")
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.img")
    }
}

/// Debian; made once.
pub(super) fn base() -> Result<Base> {
    let suite = Versions::read()?.debian.suite;
    let key = format!("systemd 1 {suite} {PACKAGES} {UNIT}");
    let hash: String = Sha256::digest(key)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let cache = repository::cache().join("guests");
    let directory = cache.join(format!("systemd-{hash}"));
    if !directory.is_dir() {
        progress("making the Debian guest, which takes a few minutes");
        let workshop = cache.join(format!(".making-{}", std::process::id()));
        let made = make(&workshop, &suite);
        let made = made.and_then(|()| Ok(fs::rename(&workshop, &directory)?));
        made.inspect_err(|_| drop(fs::remove_dir_all(&workshop)))?;
    }
    Ok(Base { directory })
}

fn make(workshop: &Path, suite: &str) -> Result<()> {
    let root = workshop.join("root");
    fs::create_dir_all(&root).context("cannot create the guest's directory")?;
    let include = format!("--include={PACKAGES}");
    let arguments = [
        "--variant=minbase",
        &include,
        suite,
        &root.to_string_lossy(),
    ];
    subprocess::text(Path::new("debootstrap"), &arguments, LIMIT)
        .context("debootstrap failed (it needs root and a Debian mirror)")?;
    for (link, name) in [("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")] {
        fs::copy(root.join(link), workshop.join(name)).with_context(|| format!("no {link}"))?;
    }
    fs::create_dir_all(root.join("payload"))?;
    fs::write(root.join("etc/systemd/system/tested.service"), UNIT)?;
    let wanted = root.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    symlink(
        "/etc/systemd/system/tested.service",
        wanted.join("tested.service"),
    )?;
    for directory in [
        "usr/share/doc",
        "usr/share/locale",
        "usr/share/man",
        "var/cache/apt",
        "var/lib/apt",
    ] {
        fs::remove_dir_all(root.join(directory))?;
    }
    file_system(&root, &workshop.join("disk.ext4"), "3G")?;
    fs::remove_dir_all(&root).context("cannot remove the guest's directory")
}

/// What is tested, and what it is tested with.
pub(super) fn payload(scratch: &Scratch) -> Result<PathBuf> {
    let root = scratch.join("payload");
    for name in ["bin", "images", "source"] {
        fs::create_dir_all(root.join(name)).context("cannot lay out the payload")?;
    }
    let versions = Versions::read()?;
    let containerd = tool_home("containerd", &versions.of("containerd")?[0])?;
    let tools = ["containerd", "containerd-shim-runc-v2", "ctr"].map(|name| containerd.join(name));
    let others = [("runc", "runc"), ("crictl", "crictl")];
    let others = others.map(|(tool, name)| Ok(versions.home(tool)?.join(name)));
    let others = others.into_iter().collect::<Result<Vec<_>>>()?;
    for tool in tools.iter().chain(&others) {
        copy(tool, &root.join("bin"))?;
    }
    for program in [
        repository::launcher_binary()?,
        repository::guard_binary()?,
        repository::command_binary()?,
    ] {
        copy(&program, &root.join("source"))?;
    }
    for image in [images::PAUSE, images::BUSYBOX] {
        let target = root.join("images").join(format!("{image}.tar"));
        fs::copy(images::archive(image)?, target).context("cannot copy an image")?;
    }
    let script = include_str!("guest.sh")
        .replace("@PAUSE@", &images::reference(images::PAUSE))
        .replace("@BUSYBOX@", &images::reference(images::BUSYBOX));
    fs::write(root.join("run.sh"), script).context("cannot write the guest's script")?;
    let disk = scratch.join("payload.ext4");
    file_system(&root, &disk, "1G")?;
    Ok(disk)
}

fn copy(file: &Path, directory: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default();
    fs::copy(file, directory.join(name))
        .with_context(|| format!("cannot copy {}", file.display()))
        .map(drop)
}

/// A file system with the content of a directory, without mounting anything.
fn file_system(root: &Path, disk: &Path, size: &str) -> Result<()> {
    let (root, disk) = (root.to_string_lossy(), disk.to_string_lossy());
    let arguments = ["-q", "-F", "-t", "ext4", "-d", &root, &disk, size];
    subprocess::text(Path::new("mke2fs"), &arguments, LIMIT).map(drop)
}
