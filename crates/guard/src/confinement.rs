//! How the processes of one container are confined: the profile's plan, the variables, and the command that applies them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use kubefence_injection::{Flags, wrap_prefix};
use kubefence_node_files::plans::{self, Published};
use kubefence_node_files::records::Confinement;
use kubefence_profile::ProfileName;

use crate::config::{Config, Launcher};

/// The plan of `profile` as it is published now; `None` where the launcher finds profiles by itself.
pub(crate) fn published(
    config: &Config,
    profile: &ProfileName,
) -> anyhow::Result<Option<Published>> {
    match config.launcher {
        Launcher::Kubefence => {
            let published = plans::lookup(&config.launcher_dir.to_path(), profile)?;
            Ok(Some(published))
        }
        Launcher::Upstream => Ok(None),
    }
}

/// The arguments in front of a command that confine it. `preserve_fds` descriptors from 3 on are the command's, and the
/// launcher must find mounts at `mounted`.
///
/// Only the container's own process is told of mounts: another container with the same volume can detach one later, and
/// must not keep probes from running.
pub(crate) fn prefix(
    confinement: &Confinement,
    preserve_fds: u32,
    mounted: &[String],
) -> Vec<String> {
    let Some(plan) = &confinement.plan else {
        return wrap_prefix(&confinement.profile, &Flags::default());
    };
    let flags = Flags {
        plan: Some(plan),
        variables: &confinement.variables,
        mounted,
        preserve_fds,
    };
    wrap_prefix(&confinement.profile, &flags)
}

/// Checks that the launcher is there, and that nobody but root could have changed it.
pub(crate) fn check_launcher(config: &Config) -> anyhow::Result<()> {
    let dir = config.launcher_dir.to_path();
    let check = |path: &Path, is_executable: bool| -> anyhow::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        let is_right = match is_executable {
            true => metadata.is_file() && metadata.mode() & 0o111 == 0o111,
            false => metadata.is_dir(),
        };
        ensure!(is_right, "it is not what it should be");
        ensure!(
            metadata.uid() == 0 && metadata.mode() & 0o022 == 0,
            "others than root can write to it"
        );
        Ok(())
    };
    for (path, is_executable) in [(dir.clone(), false), (dir.join("nono"), true)] {
        check(&path, is_executable).with_context(|| {
            format!(
                "the launcher cannot be trusted: {}: install it again",
                path.display()
            )
        })?;
    }
    Ok(())
}
