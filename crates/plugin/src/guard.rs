//! What the guard, the wrapper around the OCI runtime, says of containers.
//!
//! The guard wraps what comes to it bare, after the container runtime has written its own spec. So the specs
//! that NRI shows stay bare, and only the guard's record tells that a container is sandboxed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kubefence_node_files::records::{Confinement, Kind, RecordError, Records};
use kubefence_profile::ProfileName;

use crate::config::Config;

/// The handlers that have the guard, and its records.
#[derive(Debug)]
pub(crate) struct Guard {
    handlers: BTreeSet<String>,
    dir: PathBuf,
    records: Records,
}

/// Why a container does not count as sandboxed by the guard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NotGuarded {
    /// The guard has not seen it, at least not yet.
    #[error(
        "the guard has no record of it in {}: its handler must start containers through nono-runc, which keeps its \
         records in guard_state_dir",
        .0.display()
    )]
    NoRecord(PathBuf),
    /// The guard let it through as the sandbox of a pod.
    #[error(
        "the guard takes it for a pod's sandbox, which runs bare: called_by in nono-runc.toml must name the container \
         runtime"
    )]
    Sandbox,
    /// The guard and the plugin come to different profiles.
    #[error(
        "the guard has put it under profile \"{0}\": give nono-runc.toml the plugin's default_profile, and have the \
         handler's pod_annotations list \"nono.sh/*\" and \"container.nono.sh/*\""
    )]
    OtherProfile(ProfileName),
    /// Nobody can tell.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Guard {
    /// The guard as `config` describes it.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            handlers: config.guarded_classes.clone(),
            dir: config.guard_state_dir.clone(),
            records: Records::new(config.guard_state_dir.clone()),
        }
    }

    /// Whether containers of `handler` start through the guard.
    pub(crate) fn has(&self, handler: &str) -> bool {
        self.handlers.contains(handler)
    }

    /// How the guard confines the container `id`. Looks into a directory in memory: not for the path on which
    /// containers are created.
    pub(crate) fn confinement(&self, id: &str) -> Result<Confinement, NotGuarded> {
        match self.records.find(id)?.map(|record| record.kind) {
            Some(Kind::Container(confinement)) => Ok(confinement),
            Some(Kind::Sandbox) => Err(NotGuarded::Sandbox),
            None => Err(NotGuarded::NoRecord(self.dir.clone())),
        }
    }
}
