//! The manifest of an installation, before anything is changed.

use std::fs;
use std::path::{Path, PathBuf};

use super::survey::{Survey, is_of};
use super::{InstallError, InstallOptions};
use crate::change::Change;
use crate::files::{self, FileError, Found};
use crate::guard_config;
use crate::manifest::{
    Before, Fate, FileRecord, Foreign, Manifest, Phase, Purpose, RuntimeRecord, Store,
};
use crate::root::Root;
use crate::runtime::{self, OwnedKey};
use crate::uninstall::{is_directory_of_ours, is_published};

/// Backs up what will be replaced, and says in a manifest what will be done.
///
/// `made` are directories that were made already.
pub(super) fn begin(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
    made: &[PathBuf],
) -> Result<Manifest, InstallError> {
    let store = Store::new(root, &options.state_dir);
    let mut manifest = empty(options, survey);
    match &survey.manifest {
        Some(earlier) => {
            manifest.files = earlier.files.clone();
            manifest.directories = earlier.directories.clone();
            manifest.foreign = earlier.foreign.clone();
            manifest.handlers_show_restart = earlier.handlers_show_restart;
            add_new(&mut manifest.former_handlers, &earlier.all_handlers());
            let handlers = &manifest.handlers;
            manifest
                .former_handlers
                .retain(|name| !handlers.contains(name));
        }
        None => {
            let again = survey.changes.iter().any(is_program_left_behind);
            manifest.foreign = foreign(root, &options.nono_dir, again)?;
        }
    }
    add_new(&mut manifest.directories, made);
    for directory in directories(root, options, survey)? {
        add_new(
            &mut manifest.directories,
            &files::missing_directories(root, &directory)?,
        );
    }
    for change in &survey.changes {
        if let Some(record) = record(&store, survey, change)? {
            manifest.files.insert(change.path.clone(), record);
        }
    }
    store.save(&manifest)?;
    Ok(manifest)
}

/// A manifest without files.
fn empty(options: &InstallOptions, survey: &Survey) -> Manifest {
    let runtime = RuntimeRecord {
        kind: survey.detected.kind,
        version: survey.detected.version,
        socket: survey.detected.socket.clone(),
        units: survey.units(),
        validate: survey.config.validate.clone(),
    };
    Manifest {
        phase: Phase::Installing,
        restart_pending: survey.needs_restart(),
        handlers: options.handlers.clone(),
        nono_dir: options.nono_dir.clone(),
        bin_dir: options.bin_dir.clone(),
        ..Manifest::begin(runtime, options.restart.clone())
    }
}

/// Directories that files are put into.
pub(super) fn directories(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
) -> Result<Vec<PathBuf>, FileError> {
    let mut directories = vec![options.nono_dir.clone(), options.bin_dir.clone()];
    for change in survey.runtime_config() {
        directories.extend(change.path.parent().map(Path::to_owned));
    }
    let place = |path: &PathBuf| {
        let fail = |source| FileError::Read {
            path: path.clone(),
            source,
        };
        root.place(path).map_err(fail)
    };
    directories.iter().map(place).collect()
}

fn add_new<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// What is to be known of a file when this is undone; `None` if there is nothing to undo.
fn record(
    store: &Store<'_>,
    survey: &Survey,
    change: &Change,
) -> Result<Option<FileRecord>, InstallError> {
    let earlier = survey.record(&change.path);
    let Some(after) = change.digest() else {
        // It is removed; until it is gone, the earlier record says what it was.
        return Ok(earlier.cloned());
    };
    let keys = survey.keys(&change.path);
    let Some(earlier) = earlier else {
        return first(store, change, after, keys);
    };
    if !change.is_needed() {
        return Ok(Some(unchanged(earlier, change, keys)));
    }
    let mut record = earlier.clone();
    match (&change.found, earlier.fate(change.found.as_ref())) {
        (Some(found), Fate::Changed) if change.purpose.is_runtime_config() => {
            // Somebody has edited it since: what they have written, without ours, is what comes back.
            record.before = rebased(store, earlier, found)?;
            record.superseded = Some(files::digest(&found.bytes));
        }
        (Some(found), Fate::Intact) => record.superseded = Some(files::digest(&found.bytes)),
        _ => record.superseded = None,
    }
    record.after = after;
    record.keys = keys;
    Ok(Some(record))
}

/// The record of a file that has none yet.
fn first(
    store: &Store<'_>,
    change: &Change,
    after: String,
    keys: Vec<OwnedKey>,
) -> Result<Option<FileRecord>, InstallError> {
    let before = match &change.found {
        // What is as it should be without having been installed belongs to somebody else.
        Some(_) if change.purpose == Purpose::EditedConfig && !change.is_needed() => {
            return Ok(None);
        }
        Some(found) if is_left_behind(change, found) => None,
        Some(found) => Some(before(store, found)?),
        None => None,
    };
    Ok(Some(FileRecord {
        purpose: change.purpose,
        before,
        after,
        superseded: None,
        keys,
    }))
}

/// Whether a file can only be that of an installation whose manifest was lost.
fn is_left_behind(change: &Change, found: &Found) -> bool {
    match change.purpose {
        Purpose::Program => change.digest() == Some(files::digest(&found.bytes)),
        Purpose::GuardConfig => guard_config::is_own(&found.bytes),
        // Files of others are no place for it, so it would not have been planned.
        Purpose::OwnConfig => true,
        Purpose::EditedConfig => false,
    }
}

fn is_program_left_behind(change: &Change) -> bool {
    let found = change.found.as_ref();
    change.purpose == Purpose::Program && found.is_some_and(|found| is_left_behind(change, found))
}

/// A file that stays as it is: installed earlier, or edited by somebody since in a way that leaves kubefence's part intact.
fn unchanged(earlier: &FileRecord, change: &Change, keys: Vec<OwnedKey>) -> FileRecord {
    let mut record = earlier.clone();
    if !keys.is_empty() {
        record.keys = keys;
    }
    if record
        .superseded
        .as_ref()
        .is_some_and(|digest| is_of(digest, change))
    {
        record.after = record.superseded.take().unwrap_or_default();
    }
    record
}

fn before(store: &Store<'_>, found: &Found) -> Result<Before, InstallError> {
    Ok(Before {
        sha256: store.back_up(&found.bytes)?,
        attributes: found.attributes.clone(),
    })
}

/// What would be there if kubefence had never been, given what somebody has made of the file.
fn rebased(
    store: &Store<'_>,
    earlier: &FileRecord,
    found: &Found,
) -> Result<Option<Before>, InstallError> {
    let text = String::from_utf8_lossy(&found.bytes);
    let without = runtime::withdraw(&text, &earlier.keys)?.text;
    if earlier.before.is_none() && without.trim().is_empty() {
        return Ok(None);
    }
    let found = Found {
        bytes: without.into_bytes(),
        attributes: found.attributes.clone(),
    };
    before(store, &found).map(Some)
}

/// What is in the launcher's directory and was not put there by kubefence; if its programs are there already (`again`), what
/// is published there is its own, too.
fn foreign(root: &Root, dir: &Path, again: bool) -> Result<Vec<Foreign>, InstallError> {
    let fail = |source| FileError::Read {
        path: dir.to_owned(),
        source,
    };
    let Some(place) = root.locate(dir).map_err(fail)? else {
        return Ok(Vec::new());
    };
    let top = root.outside(&place);
    let (mut found, mut queue) = (Vec::new(), vec![top.clone()]);
    while let Some(path) = queue.pop() {
        for entry in fs::read_dir(&path).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if fs::symlink_metadata(&path).map_err(fail)?.is_dir() {
                queue.push(path.clone());
            }
            let target = fs::read_link(&path).ok();
            let below = path.strip_prefix(&top).unwrap_or(&path);
            if again && is_ours(&top, below) {
                continue;
            }
            found.push(Foreign {
                path: below.to_owned(),
                target,
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_ours(top: &Path, below: &Path) -> bool {
    let is_launcher = below == Path::new("nono");
    is_launcher || is_published(top, below) || is_directory_of_ours(top, below)
}

/// The manifest of what is complete.
pub(super) fn complete(
    root: &Root,
    store: &Store<'_>,
    manifest: &mut Manifest,
) -> Result<(), InstallError> {
    manifest.phase = Phase::Installed;
    manifest.rejected = None;
    forget_gone(root, manifest)?;
    for record in manifest.files.values_mut() {
        record.superseded = None;
    }
    store.save(manifest)?;
    store.prune(Some(manifest))?;
    Ok(())
}

/// Notes that the restart that was left to somebody else was made.
pub(super) fn restarted(
    root: &Root,
    options: &InstallOptions,
    survey: &Survey,
) -> Result<(), InstallError> {
    let Some(mut manifest) = survey.manifest.clone() else {
        return Ok(());
    };
    manifest.restart_pending = false;
    Ok(Store::new(root, &options.state_dir).save(&manifest)?)
}

/// Drops what was removed, or is as it was before, from the manifest.
fn forget_gone(root: &Root, manifest: &mut Manifest) -> Result<(), FileError> {
    let mut gone = Vec::new();
    for (path, record) in &manifest.files {
        if record.purpose.is_runtime_config()
            && record.fate(files::find(root, path)?.as_ref()) == Fate::Restored
        {
            gone.push(path.clone());
        }
    }
    for path in gone {
        manifest.files.remove(&path);
    }
    Ok(())
}

/// The mode of a directory that containers read.
pub(super) const DIRECTORY_MODE: u32 = 0o755;
