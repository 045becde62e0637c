//! Installing kubefence on a node.
//!
//! First everything is looked at and planned, then the manifest is written, then files are changed, and the
//! runtime's configuration last. The runtime is restarted only if that configuration is another one than it runs with; if
//! it rejects the new one, or does not answer afterwards, the old one is put back.

mod apply;
mod error;
mod plans;
mod record;
mod standing;
mod survey;

use std::path::PathBuf;
use std::time::Duration;

use kubefence_profile::SeccompProfile;
use serde::Serialize;

use crate::change::FileReport;
use crate::cri::RuntimeVersion;
use crate::files;
use crate::guard_config::ProfileChoice;
use crate::manifest::{Lock, Manifest, Phase};
use crate::restart::Restart;
use crate::root::Root;
use crate::runtime::{Choice, Kind};

pub use self::error::InstallError;
use self::survey::Survey;

/// The handler, if nobody says otherwise.
pub const USUAL_HANDLER: &str = "nono-runc";
/// The directory that containers mount, if nobody says otherwise.
pub const USUAL_NONO_DIR: &str = "/opt/nono-nri";
/// The directory of the guard, if nobody says otherwise.
pub const USUAL_BIN_DIR: &str = "/opt/kubefence/bin";
/// The directory of the manifest, if nobody says otherwise.
pub const USUAL_STATE_DIR: &str = "/var/lib/kubefence";

/// How long another installation is waited for.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Where the programs to install are: a directory of this process, not of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In this one.
    Given(PathBuf),
    /// In this one; if they are not, those are meant that are installed already.
    Usual(PathBuf),
}

/// What is to be installed, and how.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// Where the programs to install are.
    pub source: Source,
    /// The handlers to register.
    pub handlers: Vec<String>,
    /// Which profiles the guard knows.
    pub profiles: ProfileChoice,
    /// A seccomp filter for all plans.
    pub seccomp: Option<SeccompProfile>,
    /// The directory that containers mount.
    pub nono_dir: PathBuf,
    /// The directory of the guard.
    pub bin_dir: PathBuf,
    /// The directory of the manifest.
    pub state_dir: PathBuf,
    /// Which runtime to configure.
    pub runtime: Choice,
    /// Its main configuration file, if it is not the usual one.
    pub runtime_config: Option<PathBuf>,
    /// Its CRI socket, if it is not the configured one.
    pub runtime_socket: Option<PathBuf>,
    /// How it is restarted.
    pub restart: Restart,
    /// How long a restart may take, and how long the runtime may take to answer after it.
    pub timeout: Duration,
}

/// What was done, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct InstallReport {
    /// Whether this was only to see what would be done.
    pub dry_run: bool,
    /// Whether there was anything to do.
    pub changed: bool,
    /// The kind of node.
    pub runtime: Kind,
    /// The version of its container runtime.
    pub runtime_version: String,
    /// The handlers.
    pub handlers: Vec<String>,
    /// Files.
    pub files: Vec<FileReport>,
    /// Plans that are published, or would be.
    pub plans: Vec<String>,
    /// What was restarted, or would be.
    pub restart: Option<String>,
    /// The runtime as it answers after the restart.
    pub answers: Option<RuntimeVersion>,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// Says what would be done, and changes nothing.
///
/// # Errors
///
/// Fails where installing would fail before it changes anything.
pub fn preview(root: &Root, options: &InstallOptions) -> Result<InstallReport, InstallError> {
    let survey = Survey::take(root, options)?;
    let restart = survey.needs_restart().then(|| {
        let units = survey.units();
        let nobody = "nothing: somebody else restarts the runtime".to_owned();
        options.restart.describe(&units).unwrap_or(nobody)
    });
    Ok(InstallReport {
        dry_run: true,
        changed: !survey.is_done(),
        restart,
        ..survey.report()
    })
}

/// Installs; `say` is told of each step.
///
/// # Errors
///
/// Fails if something cannot be done. The error says what was put back; a repeated installation goes on from there, and an
/// uninstallation undoes it.
pub fn install(
    root: &Root,
    options: &InstallOptions,
    say: &mut dyn FnMut(&str),
) -> Result<InstallReport, InstallError> {
    // What cannot be installed leaves no trace, not even a lock.
    let before = Survey::take(root, options)?;
    let lock = Lock::take(root, &options.state_dir, LOCK_PATIENCE)?;
    for path in before.manifest.iter().flat_map(|m| m.files.keys()) {
        files::clean(root, path)?;
    }
    let survey = Survey::take(root, options)?;
    if survey.is_done() {
        let mut report = survey.report();
        if survey.restarted_since {
            record::restarted(root, options, &survey)?;
        }
        apply::label(root, options, &mut report.notes, say);
        return Ok(report);
    }
    apply::apply(root, options, &survey, &lock.made, say)
}

impl Survey {
    /// Whether everything is as it should be.
    fn is_done(&self) -> bool {
        let complete = |manifest: &Manifest| manifest.phase == Phase::Installed;
        self.manifest.as_ref().is_some_and(complete) && !self.needs_work() && !self.needs_restart()
    }

    fn report(&self) -> InstallReport {
        InstallReport {
            dry_run: false,
            changed: false,
            runtime: self.detected.kind,
            runtime_version: self.detected.version.to_string(),
            handlers: self.handlers.clone(),
            files: self.changes.iter().map(|change| change.report()).collect(),
            plans: self.plans.unpublished(),
            restart: None,
            answers: None,
            notes: self.notes.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
