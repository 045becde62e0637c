//! The edits that wrap a container.

use std::path::{Path, PathBuf};

use kubefence_launch_plan::{LAUNCHER, MOUNT_POINT, ProfileName};

use crate::Container;
use crate::destination::may_cover_launcher;
use crate::flags::{Flags, wrap_prefix, wrapping};

/// The environment variable that names the profile inside the container.
pub const PROFILE_VARIABLE: &str = "NONO_PROFILE";

/// `PATH` for a container that states none: what container runtimes give in that case.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The host directory that holds the launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LauncherDir(String);

/// Why a path is not usable as the launcher's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLauncherPath {
    /// The runtime resolves mount sources on its own.
    #[error("it is not absolute")]
    Relative,
    /// Mount sources are compared as text.
    #[error("it is not normal: it must have no empty, `.` or `..` component")]
    NotNormal,
    /// The args name the launcher inside the container.
    #[error("its file name is not `nono`, which containers start as {LAUNCHER}")]
    FileName,
    /// The wire format has no place for other bytes.
    #[error("it is not UTF-8")]
    NotUtf8,
}

impl LauncherDir {
    /// The directory of the launcher at `path`.
    pub fn of_launcher(path: &Path) -> Result<Self, InvalidLauncherPath> {
        let path = path.to_str().ok_or(InvalidLauncherPath::NotUtf8)?;
        if !path.starts_with('/') {
            return Err(InvalidLauncherPath::Relative);
        }
        if path[1..].split('/').any(|c| matches!(c, "" | "." | "..")) {
            return Err(InvalidLauncherPath::NotNormal);
        }
        match path.rsplit_once('/') {
            Some((dir, "nono")) if !dir.is_empty() => Ok(Self(dir.to_owned())),
            _ => Err(InvalidLauncherPath::FileName),
        }
    }

    /// The directory as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory as a path.
    pub fn to_path(&self) -> PathBuf {
        PathBuf::from(&self.0)
    }
}

/// A bind mount that a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    /// Directory in the container.
    pub destination: String,
    /// Directory on the host.
    pub source: String,
    /// Mount type.
    pub kind: &'static str,
    /// Mount options.
    pub options: Vec<String>,
}

impl BindMount {
    /// The options that make the launcher's mount what it must be: read-only and private, and no
    /// place for set-uid programs or devices.
    pub(crate) const KIND: &'static str = "bind";
    pub(crate) const OPTIONS: [&'static str; 5] = ["bind", "ro", "rprivate", "nosuid", "nodev"];

    /// The launcher's mount: its directory on the host, at [`MOUNT_POINT`].
    pub fn of_launcher(dir: &LauncherDir) -> Self {
        Self {
            destination: MOUNT_POINT.to_owned(),
            source: dir.as_str().to_owned(),
            kind: Self::KIND,
            options: Self::OPTIONS.map(str::to_owned).to_vec(),
        }
    }
}

/// All edits that wrap one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The new command and arguments.
    pub args: Vec<String>,
    /// The launcher's mount.
    pub mount: BindMount,
    /// Environment variables to set.
    pub env: Vec<(String, String)>,
}

/// Why a container cannot be wrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// One of its own mounts could stand in for the launcher.
    #[error(
        "its mount at {destination:?} could cover {MOUNT_POINT}, where the sandbox launcher lives: mount it elsewhere"
    )]
    MountCoversLauncher {
        /// The mount's destination as the container states it.
        destination: String,
    },
    /// There is nothing to wrap.
    #[error("it has no command: set `command` in the pod or an entrypoint in the image")]
    NoCommand,
}

impl Injection {
    /// Plans the edits that make `container` start under `profile`.
    pub fn plan(
        container: Container<'_>,
        profile: &ProfileName,
        dir: &LauncherDir,
    ) -> Result<Self, Refusal> {
        if container.args.is_empty() {
            return Err(Refusal::NoCommand);
        }
        if let Some(mount) = container
            .mounts
            .iter()
            .find(|m| may_cover_launcher(m.destination))
        {
            return Err(Refusal::MountCoversLauncher {
                destination: mount.destination.to_owned(),
            });
        }
        Ok(Self {
            args: wrap_args(profile, container.args),
            mount: BindMount::of_launcher(dir),
            env: vec![
                (PROFILE_VARIABLE.to_owned(), profile.to_string()),
                ("PATH".to_owned(), path_with_launcher(container.env)),
            ],
        })
    }
}

fn wrap_args(profile: &ProfileName, original: &[String]) -> Vec<String> {
    [&wrap_prefix(profile, &Flags::default()), original].concat()
}

/// Whether `args` start under `profile`.
pub(crate) fn is_wrapped_in(profile: &ProfileName, args: &[String]) -> bool {
    wrapped_profile(args).as_ref() == Some(profile)
}

/// The profile that `args` start under, if they are wrapped without flags: only the guard adds some, and nobody
/// else sees them.
pub fn wrapped_profile(args: &[String]) -> Option<ProfileName> {
    let wrapping = wrapping(args)?;
    let plain = wrap_prefix(&wrapping.profile, &Flags::default());
    (wrapping.len == plain.len()).then_some(wrapping.profile)
}

/// `PATH` of `env` with the launcher's directory in front. One that begins with it stays as it is, so that
/// wrapping again changes nothing.
fn path_with_launcher(env: &[String]) -> String {
    // Of several, the last counts, as it does for runc.
    let stated = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="));
    match stated.unwrap_or(USUAL_PATH) {
        "" => MOUNT_POINT.to_owned(),
        path if path.split(':').next() == Some(MOUNT_POINT) => path.to_owned(),
        path => format!("{MOUNT_POINT}:{path}"),
    }
}

#[cfg(test)]
mod tests;
