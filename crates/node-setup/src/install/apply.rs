//! The steps of an installation, in order.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::record::{self, DIRECTORY_MODE};
use super::survey::Survey;
use super::{InstallError, InstallOptions, InstallReport};
use crate::change::Change;
use crate::cri::{Cri, RuntimeVersion};
use crate::files::{self, FileError, selinux};
use crate::manifest::{Manifest, Store};
use crate::restart::Restart;
use crate::root::Root;
use crate::runtime;
use crate::validate;

const PAUSE: Duration = Duration::from_millis(250);

/// Says what is done.
type Say<'a> = &'a mut dyn FnMut(&str);

pub(super) fn apply(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    made: &[PathBuf],
    say: Say<'_>,
) -> Result<InstallReport, InstallError> {
    let mut report = InstallReport {
        changed: true,
        ..survey.report()
    };
    let store = Store::new(root, &options.state_dir);
    let mut manifest = record::begin(root, options, survey, made)?;
    note_unknown_handlers(root, survey, &mut manifest);
    put_files(root, options, survey, say)?;
    label(root, options, &mut report.notes, say);
    let configured = configure(root, survey, say)
        .and_then(|()| restart(root, options, survey, &mut report, say));
    if let Err(cause) = configured {
        let stopped = match &cause {
            InstallError::Restart(error) => error.may_have_stopped(),
            _ => report.restart.is_some(),
        };
        manifest.rejected = stopped.then(|| survey.attempt.clone());
        let outcome = roll_back(root, options, survey, &mut manifest, stopped, say);
        let cause = Box::new(cause);
        return Err(InstallError::RolledBack { outcome, cause });
    }
    manifest.restart_pending = survey.needs_restart() && report.restart.is_none();
    if manifest.restart_pending {
        report.notes.push(format!(
            "restart the container runtime ({}): until then it does not know the handlers",
            manifest.runtime.units.join(" or ")
        ));
    }
    record::complete(root, &store, &mut manifest)?;
    Ok(report)
}

/// Whether the handlers will show that the runtime was restarted: they do not yet.
fn note_unknown_handlers(root: &Root, survey: &Survey, manifest: &mut Manifest) {
    if survey.runtime_config().any(Change::is_needed) {
        let cri = Cri::at(root, &survey.detected.socket);
        let unknown = cri.unknown_of(&survey.handlers);
        manifest.handlers_show_restart = matches!(unknown, Ok(Some(_)));
    }
}

/// Everything but the runtime's configuration. Running containers notice nothing.
fn put_files(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    say: Say<'_>,
) -> Result<(), InstallError> {
    for directory in record::directories(root, options, survey)? {
        files::make_directory(root, &directory, DIRECTORY_MODE)?;
    }
    for change in survey
        .changes
        .iter()
        .filter(|change| !change.purpose.is_runtime_config())
    {
        carry_out(root, change, say)?;
    }
    let plans = survey.plans.unpublished();
    if !plans.is_empty() {
        say(&format!(
            "publishing {} plans in {}",
            plans.len(),
            options.nono_dir.display()
        ));
        survey.plans.publish(root, &options.nono_dir)?;
    }
    Ok(())
}

fn carry_out(root: &Root, change: &Change, say: Say<'_>) -> Result<(), InstallError> {
    if change.is_needed() {
        let verb = match change.wanted {
            Some(_) => "writing",
            None => "removing",
        };
        say(&format!("{verb} {}", change.path.display()));
    }
    Ok(change.apply(root)?)
}

/// Lets containers read the launcher's directory where SELinux would not.
pub(super) fn label(root: &Root, options: &InstallOptions, notes: &mut Vec<String>, say: Say<'_>) {
    let Ok(Some(place)) = root.locate(&options.nono_dir) else {
        return;
    };
    match selinux::label(&selinux::Kernel(root), &root.outside(&place)) {
        Ok(changed) if changed.is_empty() => {}
        Ok(changed) => say(&format!("labelled {} files for SELinux", changed.len())),
        Err((path, error)) => notes.push(format!(
            "SELinux is enforced and {} cannot be labelled {} ({error}): containers will not start; \
             install container-selinux, then run this again",
            path.display(),
            selinux::LABEL,
        )),
    }
}

/// Writes the runtime's configuration, and has the runtime say what it makes of it.
fn configure(root: &Root, survey: &Survey, say: Say<'_>) -> Result<(), InstallError> {
    for change in survey.runtime_config() {
        carry_out(root, change, say)?;
    }
    if survey.needs_restart() {
        confirm(root, survey, &survey.config.validate)?;
    }
    Ok(())
}

/// Checks that the handlers are in force in what a command prints.
fn confirm(root: &Root, survey: &Survey, command: &[String]) -> Result<(), InstallError> {
    match validate::check(root, command)? {
        Some(printed) => Ok(runtime::confirm(
            &printed,
            &survey.detected,
            &survey.wanted,
        )?),
        None => Ok(()),
    }
}

/// Makes the runtime's configuration count.
fn restart(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    report: &mut InstallReport,
    say: Say<'_>,
) -> Result<(), InstallError> {
    if !survey.needs_restart() || options.restart == Restart::None {
        return Ok(());
    }
    say("restarting the container runtime");
    report.restart = options
        .restart
        .perform(root, &survey.units(), options.timeout)?;
    say("waiting for the container runtime to answer");
    report.answers = Some(wait(root, options, survey)?);
    // Some runtimes make their configuration only when they start.
    match survey.config.validate.is_empty() {
        true => confirm(root, survey, &survey.detected.dump),
        false => Ok(()),
    }
}

/// Waits until the runtime answers and knows the handlers: a restart that goes on behind our back shows the old one for
/// a while.
fn wait(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
) -> Result<RuntimeVersion, InstallError> {
    let cri = Cri::at(root, &survey.detected.socket);
    let deadline = Instant::now() + options.timeout;
    loop {
        let version = cri.wait(deadline.saturating_duration_since(Instant::now()))?;
        let unknown = cri.unknown_of(&options.handlers);
        match unknown {
            Ok(None) => return Ok(version),
            _ if Instant::now() < deadline => thread::sleep(PAUSE),
            Ok(Some(handler)) => return Err(InstallError::NotEffective { handler }),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts the runtime's configuration back, and the runtime with it if it may have been stopped; returns what came of that. Programs and plans stay:
/// nothing uses them.
fn roll_back(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    manifest: &mut Manifest,
    stopped: bool,
    say: Say<'_>,
) -> String {
    say("putting the container runtime's configuration back");
    let mut outcome = match put_back(root, options, survey, manifest) {
        Ok(()) => "the container runtime's configuration was put back".to_owned(),
        Err(error) => {
            format!("the container runtime's configuration could not be put back: {error}")
        }
    };
    if !stopped {
        return outcome;
    }
    let again = options
        .restart
        .perform(root, &manifest.runtime.units, options.timeout)
        .map_err(InstallError::from)
        .and_then(|_| Ok(Cri::at(root, &manifest.runtime.socket).wait(options.timeout)?));
    match again {
        Ok(_) => outcome.push_str(", and the runtime restarted with it"),
        Err(error) => {
            outcome.push_str(&format!(
                ", but the runtime does not come back with it: {error}"
            ));
        }
    }
    outcome
}

fn put_back(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    manifest: &mut Manifest,
) -> Result<(), InstallError> {
    let (undone, failed) = undo_all(root, survey.runtime_config());
    for change in undone {
        match survey.record(&change.path) {
            Some(earlier) => manifest.files.insert(change.path.clone(), earlier.clone()),
            None => manifest.files.remove(&change.path),
        };
    }
    manifest.restart_pending = survey.manifest.as_ref().is_some_and(|m| m.restart_pending);
    Store::new(root, &options.state_dir).save(manifest)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Undoes what can be undone; returns that, and the first error.
fn undo_all<'a>(
    root: &Root,
    changes: impl Iterator<Item = &'a Change>,
) -> (Vec<&'a Change>, Option<FileError>) {
    let (mut undone, mut failed) = (Vec::new(), None);
    for change in changes {
        match change.undo(root) {
            Ok(()) => undone.push(change),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (undone, failed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::files::{Attributes, Found};
    use crate::manifest::Purpose;
    use crate::root::Entrance;

    #[test]
    fn what_cannot_be_undone_does_not_hold_up_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path(), Entrance::through("/nonexistent", &[])).unwrap();
        let change = |path: &str| Change {
            path: path.into(),
            purpose: Purpose::EditedConfig,
            found: Some(Found {
                bytes: b"before".to_vec(),
                attributes: Attributes::new(0o644),
            }),
            wanted: None,
        };
        fs::write(dir.path().join("file"), "").unwrap();
        let changes = [change("/file/below"), change("/config")];
        let (undone, failed) = undo_all(&root, changes.iter());
        assert!(failed.is_some());
        let undone: Vec<&Path> = undone.iter().map(|change| change.path.as_path()).collect();
        assert_eq!(undone, [Path::new("/config")]);
        assert_eq!(fs::read(dir.path().join("config")).unwrap(), b"before");
    }
}
