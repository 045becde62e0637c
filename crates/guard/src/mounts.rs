//! Mounts of a container that keep clear of the launcher, and the launcher's own as the last one.
//!
//! The runtime mounts in order, and each destination is resolved through what is there by then. So whatever an image's
//! links or an earlier volume redirect, the last mount lies on top.

use std::path::Path;

use kubefence_injection::{BindMount, LauncherDir, Refusal, is_launcher_mount, may_cover_launcher};
use kubefence_profile::{FsRights, MOUNT_POINT, judge};

use crate::json;
use crate::rootfs::{Rootfs, RootfsError, is_at_or_below, normal};
use crate::spec::Mount;

/// Where the kernel's own file systems and devices are: nothing of the pod's.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What is wrong with the mounts, or with where they lead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountsError {
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    #[error(transparent)]
    Stated(#[from] Refusal),
    #[error(
        "its mount at {0:?} is a place that OCI runtimes find in different ways: write it without `..`, as seen in the container"
    )]
    Ambiguous(String),
    #[error(
        "its mount at {destination:?} leads to {resolved:?} through links in the image, where it could cover the sandbox \
         launcher: mount it elsewhere"
    )]
    CoversLauncher {
        destination: String,
        resolved: String,
    },
    #[error(
        "its mount at {destination:?} leads to {resolved:?} through links in the image, where the profile opens more than at \
         the place that is named: name {resolved:?} itself if that is meant, or mount it elsewhere"
    )]
    Opened {
        destination: String,
        resolved: String,
    },
    #[error(
        "its mount at {destination:?} shows {source_dir:?}, the node's own launcher: mount another directory"
    )]
    ShowsLauncher {
        destination: String,
        source_dir: String,
    },
    #[error("its device at {0:?} would lie where the sandbox launcher is: give it another path")]
    Device(String),
    #[error(
        "the image has a link or a file at {MOUNT_POINT}, where the sandbox launcher is mounted: remove it"
    )]
    NoRoom,
}

/// All mounts but the launcher's, and where they lie.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) resolved: Vec<String>,
}

/// Sorts the launcher's mount out, and checks that the others keep clear of it. `root` is the path of the root file
/// system on the host, which runtimes take off the front of destinations.
pub(crate) fn others(
    mounts: Vec<Mount>,
    rootfs: &Rootfs,
    root: &Path,
    dir: &LauncherDir,
) -> Result<Others, MountsError> {
    if !rootfs.is_free_for_directory(MOUNT_POINT)? {
        return Err(MountsError::NoRoom);
    }
    let is_other = |mount: &Mount| !is_launcher_mount(&mount.view(), dir);
    let mounts: Vec<Mount> = mounts.into_iter().filter(is_other).collect();
    let mut resolved = Vec::with_capacity(mounts.len());
    for mount in &mounts {
        check_stated(&mount.destination, root)?;
        check_source(mount, dir)?;
        resolved.push(place(mount, rootfs, &resolved)?);
    }
    Ok(Others { mounts, resolved })
}

impl Others {
    /// Checks that no link of the image leads a mount to where its content would have more `rights` than where the mount
    /// was asked for.
    pub(crate) fn check_redirected(
        &self,
        rights: impl Fn(&str) -> FsRights,
    ) -> Result<(), MountsError> {
        for (mount, resolved) in self.mounts.iter().zip(&self.resolved) {
            let stated = normal(&mount.destination);
            if stated != *resolved && !rights(&stated).contains_all(rights(resolved)) {
                return Err(MountsError::Opened {
                    destination: mount.destination.clone(),
                    resolved: resolved.clone(),
                });
            }
        }
        Ok(())
    }

    /// Where the launcher must find mounts: a link on a volume, which nobody can see before, could lead them elsewhere.
    pub(crate) fn expected(&self) -> Vec<String> {
        // The pod's containers share /dev/shm, and can leave links there.
        let is_kernels = |path: &String| {
            !path.starts_with("/dev/shm/") && KERNELS.iter().any(|dir| is_at_or_below(path, dir))
        };
        let mut paths: Vec<String> = self.resolved.clone();
        paths.retain(|path| !is_kernels(path));
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Checks that the text of a destination means one thing.
fn check_stated(destination: &str, root: &Path) -> Result<(), MountsError> {
    let is_dotted = destination.split('/').any(|component| component == "..");
    if is_dotted || Path::new(&normal(destination)).starts_with(root) {
        return Err(MountsError::Ambiguous(destination.to_owned()));
    }
    Ok(())
}

/// Checks that no device is made, or mounted, where the launcher is.
pub(crate) fn check_devices(paths: &[String], rootfs: &Rootfs) -> Result<(), MountsError> {
    for path in paths {
        let resolved = rootfs.resolve(path, &[])?;
        if resolved == "/" || is_at_or_below(&resolved, MOUNT_POINT) {
            return Err(MountsError::Device(path.clone()));
        }
    }
    Ok(())
}

/// Checks that a mount does not show the launcher's directory a second time, where it may be written to.
fn check_source(mount: &Mount, dir: &LauncherDir) -> Result<(), MountsError> {
    let source = normal(&mount.source);
    if mount.source.starts_with('/') && is_at_or_below(&source, dir.as_str()) {
        return Err(MountsError::ShowsLauncher {
            destination: mount.destination.clone(),
            source_dir: mount.source.clone(),
        });
    }
    Ok(())
}

/// Where a mount leads, if it may lead there, when there are mounts at the places `earlier`.
fn place(mount: &Mount, rootfs: &Rootfs, earlier: &[String]) -> Result<String, MountsError> {
    let destination = mount.destination.clone();
    if may_cover_launcher(&destination) {
        return Err(Refusal::MountCoversLauncher { destination }.into());
    }
    let resolved = rootfs.resolve(&destination, earlier)?;
    if resolved == "/" || is_at_or_below(&resolved, MOUNT_POINT) {
        return Err(MountsError::CoversLauncher {
            destination,
            resolved,
        });
    }
    Ok(resolved)
}

/// What profiles may open at `path` as a part of the image, for launchers whose profiles are not known here. `/run` is no such
/// place: volumes belong there.
pub(crate) fn rights_of_system(path: &str) -> FsRights {
    match judge::untrusted(path.as_bytes()).is_err() && !judge::in_run(path.as_bytes()) {
        true => FsRights::READ,
        false => FsRights::EMPTY,
    }
}

/// The launcher's mount.
pub(crate) fn launcher_mount(dir: &LauncherDir) -> Mount {
    let BindMount {
        destination,
        source,
        kind,
        options,
    } = BindMount::of_launcher(dir);
    let text = format!(
        "{{\"destination\":{},\"type\":{},\"source\":{},\"options\":{}}}",
        json::string(&destination),
        json::string(kind),
        json::string(&source),
        json::array(options.iter().map(|option| json::string(option)))
    );
    Mount {
        text,
        destination,
        source,
        kind: kind.to_owned(),
        options,
    }
}

#[cfg(test)]
mod tests;
