//! Why a node cannot be set up.

use std::io;
use std::path::PathBuf;

use kubefence_node_files::plans::PublishError;

use crate::cri::CriError;
use crate::files::FileError;
use crate::manifest::{LockError, ManifestError};
use crate::restart::RestartError;
use crate::runtime::{ConfirmError, DetectError, EditError, PlanError};

/// Why kubefence was not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A file of the node cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Somebody else is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The runtime is not known.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// Its configuration cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its configuration cannot be edited.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The configuration does not do what it should.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// The plans cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The runtime was not restarted.
    #[error(transparent)]
    Restart(#[from] RestartError),
    /// The runtime does not answer.
    #[error(transparent)]
    Cri(#[from] CriError),
    /// A program to install is missing.
    #[error(
        "cannot read the program {path}: --source names the directory of nono, nono-runc and kubefence"
    )]
    Source {
        /// The program.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The built-in profiles cannot be used.
    #[error("the built-in profile {name} cannot be used: {message}")]
    Profile {
        /// The profile.
        name: String,
        /// Why not.
        message: String,
    },
    /// The default profile cannot be chosen.
    #[error("default profile {0:?} is not among the allowed ones: add --allowed-profile {0}")]
    DefaultNotAllowed(String),
    /// The node was set up in another way.
    #[error(
        "this node was set up with {what} {installed}, not {wanted}: run `kubefence node uninstall` first"
    )]
    Elsewhere {
        /// What differs.
        what: &'static str,
        /// How it was set up.
        installed: String,
        /// How it should be now.
        wanted: String,
    },
    /// It is being uninstalled.
    #[error(
        "an uninstallation of this node was interrupted: run `kubefence node uninstall` again first"
    )]
    Uninstalling,
    /// Containers that exist depend on what would change.
    #[error(
        "{key} of {path} would become {wanted} instead of {installed}, and {in_use}: their containers could not be ended \
         any more; delete these pods, or set the container runtime's default handler back"
    )]
    GuardInUse {
        /// The guard's configuration.
        path: PathBuf,
        /// What would change.
        key: &'static str,
        /// What it is.
        installed: String,
        /// What it would be.
        wanted: String,
        /// Who depends on it.
        in_use: String,
    },
    /// The runtime did not come back with this configuration, and it was put back.
    #[error(
        "the container runtime did not come back with this very configuration, and is not restarted with it again: mend \
         the cause, then run `kubefence node uninstall` and install anew, or change the options; the earlier attempt is \
         told in its own output"
    )]
    RejectedBefore,
    /// A directory for containers is closed to them.
    #[error("{path} has mode {mode:o}: containers of every user read it, so make it 0755")]
    Closed {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The runtime rejects the configuration.
    #[error("the container runtime rejects its new configuration (`{command}`): {message}")]
    Rejected {
        /// The command that said so.
        command: String,
        /// The end of what it said.
        message: String,
    },
    /// The runtime cannot be asked what it makes of the configuration.
    #[error("cannot run `{command}` to validate the configuration")]
    Validate {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime answers, but without the handler.
    #[error(
        "the container runtime was restarted, but does not know the handler {handler}: it reads another configuration; \
         name its main file with --runtime-config"
    )]
    NotEffective {
        /// The first handler that it does not know.
        handler: String,
    },
    /// Something failed, and the runtime's configuration was put back.
    #[error("{outcome}")]
    RolledBack {
        /// What was put back, and how the runtime is now.
        outcome: String,
        /// What failed.
        #[source]
        cause: Box<InstallError>,
    },
}
