//! Mounts of a container that keep clear of the launcher, and the launcher's own as the last one.
//!
//! The runtime mounts in order, and each destination is resolved through what is there by then. So whatever an image's
//! links or an earlier volume redirect, the last mount lies on top.

use kubefence_injection::{BindMount, LauncherDir, Refusal, is_launcher_mount, may_cover_launcher};
use kubefence_profile::{MOUNT_POINT, judge};

use crate::json;
use crate::rootfs::{Rootfs, RootfsError, is_at_or_below, normal};
use crate::spec::Mount;

/// What is wrong with the mounts, or with where they lead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountsError {
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    #[error(transparent)]
    Stated(#[from] Refusal),
    #[error(
        "its mount at {destination:?} leads to {resolved:?} through links in the image, where it could cover the sandbox \
         launcher: mount it elsewhere"
    )]
    CoversLauncher {
        destination: String,
        resolved: String,
    },
    #[error(
        "its mount at {destination:?} leads into the system directory {resolved:?} through links in the image, where \
         profiles open what lies there: mount it elsewhere"
    )]
    IntoSystem {
        destination: String,
        resolved: String,
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

/// Sorts the launcher's mount out, and checks where the others lead.
pub(crate) fn others(
    mounts: Vec<Mount>,
    rootfs: &Rootfs,
    dir: &LauncherDir,
) -> Result<Others, MountsError> {
    if !rootfs.is_free_for_directory(MOUNT_POINT)? {
        return Err(MountsError::NoRoom);
    }
    let is_other = |mount: &Mount| !is_launcher_mount(&mount.view(), dir);
    let mounts: Vec<Mount> = mounts.into_iter().filter(is_other).collect();
    let resolved = mounts.iter().map(|mount| place(mount, rootfs));
    let resolved = resolved.collect::<Result<_, _>>()?;
    Ok(Others { mounts, resolved })
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

/// Where a mount leads, if it may lead there.
fn place(mount: &Mount, rootfs: &Rootfs) -> Result<String, MountsError> {
    let destination = mount.destination.clone();
    if may_cover_launcher(&destination) {
        return Err(Refusal::MountCoversLauncher { destination }.into());
    }
    let resolved = rootfs.resolve(&destination, &[])?;
    if resolved == "/" || is_at_or_below(&resolved, MOUNT_POINT) {
        return Err(MountsError::CoversLauncher {
            destination,
            resolved,
        });
    }
    let stated = normal(&destination);
    if stated != resolved && is_system(&resolved) && !is_system(&stated) {
        return Err(MountsError::IntoSystem {
            destination,
            resolved,
        });
    }
    Ok(resolved)
}

/// Whether profiles may open `path` as a part of the image. `/run` is none of these: volumes belong there.
fn is_system(path: &str) -> bool {
    judge::untrusted(path.as_bytes()).is_err() && !judge::in_run(path.as_bytes())
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
