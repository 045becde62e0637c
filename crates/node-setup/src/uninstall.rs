//! Taking kubefence off a node.
//!
//! Files that nobody has touched since become byte for byte what they were. Where somebody has, only what is kubefence's
//! goes. The guard goes last, after the runtime has forgotten it: containers need it to end.

mod launcher_dir;
mod revert;
mod sweep;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use kubefence_node_files::records::{DEFAULT_DIR, Records};
use serde::Serialize;

pub(crate) use self::launcher_dir::{is_directory_of_ours, is_published};
use self::revert::Revert;
use crate::change::FileReport;
use crate::cri::{Cri, CriError, Pod, RuntimeVersion};
use crate::files::{self, FileError};
use crate::install::{InstallError, LOCK_PATIENCE};
use crate::manifest::{Lock, LockError, Manifest, ManifestError, Phase, Store};
use crate::restart::{Restart, RestartError};
use crate::root::Root;
use crate::runtime::{EditError, Kind};
use crate::validate;

/// How long the kubelet may take to remove what has ended from the runtime: it looks once a minute.
const KUBELET_PATIENCE: Duration = Duration::from_secs(150);

const KUBELET_PAUSE: Duration = Duration::from_secs(2);

/// What is to be undone, and how.
#[derive(Clone, Debug)]
pub struct UninstallOptions {
    /// The directory of the manifest.
    pub state_dir: PathBuf,
    /// How the runtime is restarted; `None`: as at the installation.
    pub restart: Option<Restart>,
    /// The runtime's CRI socket, if it is not the one of the installation.
    pub runtime_socket: Option<PathBuf>,
    /// How long a restart may take, and how long the runtime may take to answer after it.
    pub timeout: Duration,
    /// Goes on although pods of the handlers exist, or the runtime does not tell.
    pub force: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UninstallReport {
    /// Whether this was only to see what would be done.
    pub dry_run: bool,
    /// Whether anything was installed.
    pub was_installed: bool,
    /// The runtime's configuration, and other files.
    pub files: Vec<FileReport>,
    /// What was restarted, or would be.
    pub restart: Option<String>,
    /// The runtime as it answers after the restart.
    pub answers: Option<RuntimeVersion>,
    /// What was left, and why.
    pub notes: Vec<String>,
}

/// Why kubefence was not taken off the node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UninstallError {
    /// A file cannot be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Somebody else is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The runtime was not restarted.
    #[error(
        "its configuration is as it was before, but the container runtime was not restarted; mend that, then run this again"
    )]
    Restart(#[from] RestartError),
    /// The runtime does not come back.
    #[error(
        "its configuration is as it was before, but the container runtime does not answer after its restart; mend that, then run this again"
    )]
    NoAnswer(#[source] CriError),
    /// Nobody knows whether pods still need the guard.
    #[error(
        "nobody knows whether pods of kubefence's handlers exist: start the container runtime, or say --force"
    )]
    Unknown(#[source] CriError),
    /// Pods still need the guard.
    #[error("pods of kubefence's handlers exist: {}; delete them, then run this again", named(.0))]
    InUse(Vec<Pod>),
    /// kubefence's part cannot be taken out of a file.
    #[error("cannot take kubefence's part out of {path}: mend the file, or take it out by hand")]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: EditError,
    },
    /// The runtime rejects what is left.
    #[error(
        "without kubefence, the container runtime's configuration is not accepted: mend it, then run this again"
    )]
    Rejected(#[source] Box<InstallError>),
}

fn named(pods: &[Pod]) -> String {
    const MOST: usize = 10;
    let name = |pod: &Pod| {
        let state = if pod.runs { "" } else { ", ended" };
        format!("{}/{} ({}{state})", pod.namespace, pod.name, pod.handler)
    };
    let mut names: Vec<String> = pods.iter().take(MOST).map(name).collect();
    if pods.len() > MOST {
        names.push(format!("and {} more", pods.len() - MOST));
    }
    names.join(", ")
}

/// Says what would be done, and changes nothing.
///
/// # Errors
///
/// Fails where uninstalling would fail before it changes anything.
pub fn preview(root: &Root, options: &UninstallOptions) -> Result<UninstallReport, UninstallError> {
    let Some(manifest) = Store::new(root, &options.state_dir).load()? else {
        return Ok(UninstallReport {
            dry_run: true,
            ..UninstallReport::default()
        });
    };
    let mut notes = Vec::new();
    check_unused(root, options, &manifest, &mut notes, &mut |_| {})?;
    let reverts = Revert::plan(root, &options.state_dir, &manifest)?;
    notes.extend(reverts.iter().flat_map(|revert| revert.left.clone()));
    let restart = needs_restart(&manifest, &reverts)
        .then(|| restart_of(options, &manifest).describe(&manifest.runtime.units))
        .flatten();
    Ok(UninstallReport {
        dry_run: true,
        was_installed: true,
        files: reverts
            .iter()
            .map(|revert| revert.change.report())
            .collect(),
        restart,
        notes,
        ..UninstallReport::default()
    })
}

/// Uninstalls; `say` is told of each step.
///
/// # Errors
///
/// Fails if pods still need the guard, or something cannot be undone. What was undone stays so; run again, it goes on.
pub fn uninstall(
    root: &Root,
    options: &UninstallOptions,
    say: &mut dyn FnMut(&str),
) -> Result<UninstallReport, UninstallError> {
    let store = Store::new(root, &options.state_dir);
    if store.load()?.is_none() {
        return Ok(UninstallReport::default());
    }
    let _lock = Lock::take(root, &options.state_dir, LOCK_PATIENCE)?;
    let Some(mut manifest) = store.load()? else {
        store.clear()?;
        return Ok(UninstallReport::default());
    };
    let mut report = UninstallReport {
        was_installed: true,
        ..UninstallReport::default()
    };
    check_unused(root, options, &manifest, &mut report.notes, say)?;
    let reverts = Revert::plan(root, &options.state_dir, &manifest)?;
    manifest.phase = Phase::Uninstalling;
    manifest.restart_pending = needs_restart(&manifest, &reverts);
    store.save(&manifest)?;
    put_back(root, &reverts, &mut report, say)?;
    if manifest.restart_pending {
        restart(root, options, &manifest, &mut report, say)?;
        manifest.restart_pending = false;
        store.save(&manifest)?;
        // Until it was restarted, the runtime could start pods.
        check_unused(root, options, &manifest, &mut report.notes, say)?;
        dedup(&mut report.notes);
    }
    sweep::sweep(root, &store, &manifest, &mut report, say)?;
    Ok(report)
}

/// Running pods need the guard: the runtime ends them through it.
fn check_unused(
    root: &Root,
    options: &UninstallOptions,
    manifest: &Manifest,
    notes: &mut Vec<String>,
    say: &mut dyn FnMut(&str),
) -> Result<(), UninstallError> {
    let socket = options
        .runtime_socket
        .as_ref()
        .unwrap_or(&manifest.runtime.socket);
    let cri = Cri::at(root, socket);
    // Pods can forge what CRI-O tells of their handler, but not the guard's records.
    let records = root.place(DEFAULT_DIR.as_ref());
    let records = records.map_err(|source| FileError::Read {
        path: DEFAULT_DIR.into(),
        source,
    })?;
    let records = Records::new(root.outside(&records));
    let (deadline, mut told) = (
        Instant::now() + KUBELET_PATIENCE.min(options.timeout),
        false,
    );
    loop {
        let is_guarded = |id: &str| !matches!(records.find(id), Ok(None));
        let pods = match cri.pods_of(&manifest.all_handlers(), is_guarded) {
            Ok(pods) => in_the_way(pods, manifest.runtime.kind),
            Err(error) if options.force => {
                notes.push(format!(
                    "whether pods of the handlers exist is not known: {error}"
                ));
                return Ok(());
            }
            Err(error) => return Err(UninstallError::Unknown(error)),
        };
        let passing = pods.iter().all(|pod| !pod.runs) && Instant::now() < deadline;
        match pods.is_empty() {
            true => return Ok(()),
            false if options.force => {
                notes.push(format!(
                    "pods that can no longer be ended in order: {}",
                    named(&pods)
                ));
                return Ok(());
            }
            false if !passing => return Err(UninstallError::InUse(pods)),
            false if !told => {
                say(&format!(
                    "waiting until the kubelet has removed what is left of {}",
                    named(&pods)
                ));
                told = true;
            }
            false => thread::sleep(KUBELET_PAUSE),
        }
    }
}

/// Of a pod that has ended, containerd removes what is left by itself; CRI-O calls the handler's OCI runtime once more.
fn in_the_way(pods: Vec<Pod>, kind: Kind) -> Vec<Pod> {
    let matters = |pod: &Pod| pod.runs || kind == Kind::Crio;
    pods.into_iter().filter(matters).collect()
}

/// Once is enough for what was found twice.
fn dedup(notes: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
}

fn needs_restart(manifest: &Manifest, reverts: &[Revert]) -> bool {
    let changes = |revert: &Revert| revert.change.is_needed();
    manifest.restart_pending || reverts.iter().any(changes)
}

fn restart_of<'a>(options: &'a UninstallOptions, manifest: &'a Manifest) -> &'a Restart {
    options.restart.as_ref().unwrap_or(&manifest.restart)
}

fn put_back(
    root: &Root,
    reverts: &[Revert],
    report: &mut UninstallReport,
    say: &mut dyn FnMut(&str),
) -> Result<(), UninstallError> {
    for revert in reverts {
        if revert.change.is_needed() {
            say(&format!(
                "{} {}",
                revert.verb(),
                revert.change.path.display()
            ));
        }
        files::clean(root, &revert.change.path)?;
        revert.change.apply(root)?;
        report.files.push(revert.change.report());
        report.notes.extend(revert.left.clone());
    }
    Ok(())
}

fn restart(
    root: &Root,
    options: &UninstallOptions,
    manifest: &Manifest,
    report: &mut UninstallReport,
    say: &mut dyn FnMut(&str),
) -> Result<(), UninstallError> {
    let command = &manifest.runtime.validate;
    if validate::is_possible(root, command) {
        let rejected = |error| UninstallError::Rejected(Box::new(error));
        validate::check(root, command).map_err(rejected)?;
    }
    let how = restart_of(options, manifest);
    if *how == Restart::None {
        let units = manifest.runtime.units.join(" or ");
        let note =
            format!("restart the container runtime ({units}): until then it knows the handlers");
        report.notes.push(note);
        return Ok(());
    }
    say("restarting the container runtime");
    report.restart = how.perform(root, &manifest.runtime.units, options.timeout)?;
    say("waiting for the container runtime to answer");
    let socket: &Path = options
        .runtime_socket
        .as_ref()
        .unwrap_or(&manifest.runtime.socket);
    let answer = Cri::at(root, socket).wait(options.timeout);
    report.answers = Some(answer.map_err(UninstallError::NoAnswer)?);
    Ok(())
}

#[cfg(test)]
mod tests;
