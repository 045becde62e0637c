//! Everything of kubefence's that is not the runtime's configuration.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::launcher_dir::Content;
use super::{UninstallError, UninstallReport};
use crate::change::{Change, Wanted};
use crate::files::{self, FileError};
use crate::manifest::{Fate, FileRecord, Manifest, Purpose, Store};
use crate::root::{Root, is_absence};

/// What the guard and the plugin keep while containers run. There are none any more.
const RECORDS: [&str; 3] = ["/run/kubefence/guard", "/run/kubefence", PLUGIN_RECORDS];
/// Those of the plugin, if its configuration names no other directory.
const PLUGIN_RECORDS: &str = "/var/run/nono-nri";

/// Removes programs, plans, records and the manifest, in this order.
pub(super) fn sweep(
    root: &Root,
    store: &Store<'_>,
    manifest: &Manifest,
    report: &mut UninstallReport,
    say: &mut dyn FnMut(&str),
) -> Result<(), UninstallError> {
    say(&format!("removing {}", manifest.nono_dir.display()));
    let launcher_dir = root
        .place(&manifest.nono_dir)
        .map_err(read(&manifest.nono_dir))?;
    let (inside, outside): (Vec<_>, Vec<_>) = own_files(manifest)
        .into_iter()
        .partition(|(path, _)| path.starts_with(&launcher_dir));
    let left = clear_launcher_dir(root, store, manifest, &launcher_dir, &inside)?;
    let left = left.iter().map(|below| manifest.nono_dir.join(below));
    report
        .notes
        .extend(left.map(|path| format!("{} is left: it is not kubefence's", path.display())));
    for (path, record) in outside {
        say(&format!("removing {}", path.display()));
        report
            .files
            .push(take_away(root, store, path, record)?.report());
    }
    if root
        .locate(Path::new(PLUGIN_RECORDS))
        .map_err(read(Path::new(PLUGIN_RECORDS)))?
        .is_none()
    {
        report.notes.push(format!(
            "{PLUGIN_RECORDS} is not there: if the plugin's state_dir names another directory, remove that one"
        ));
    }
    for path in RECORDS {
        clear(root, Path::new(path))?;
    }
    for directory in manifest.directories.iter().rev() {
        files::remove_empty_directory(root, directory)?;
    }
    store.clear()?;
    for directory in manifest.directories.iter().rev() {
        files::remove_empty_directory(root, directory)?;
    }
    Ok(())
}

/// The guard last: until then, it can still end what was overlooked.
fn own_files(manifest: &Manifest) -> Vec<(&PathBuf, &FileRecord)> {
    let files = manifest.files.iter();
    let mut own: Vec<_> = files
        .filter(|(_, record)| !record.purpose.is_runtime_config())
        .collect();
    let rank = |path: &Path, record: &FileRecord| match record.purpose {
        Purpose::Program if path.ends_with("nono-runc") => 2,
        Purpose::GuardConfig => 1,
        _ => 0,
    };
    own.sort_by_key(|(path, record)| rank(path, record));
    own
}

/// Removes a file of kubefence's, or puts back what stood in its place.
fn take_away(
    root: &Root,
    store: &Store<'_>,
    path: &Path,
    record: &FileRecord,
) -> Result<Change, UninstallError> {
    let found = files::find(root, path)?;
    let wanted = match (&record.before, record.fate(found.as_ref())) {
        (Some(before), Fate::Intact | Fate::Changed) => Some(Wanted {
            bytes: store.backup_of(path, before)?,
            attributes: before.attributes.clone(),
            exact: true,
        }),
        (Some(before), Fate::Restored) => found.as_ref().map(|found| Wanted {
            bytes: found.bytes.clone(),
            attributes: before.attributes.clone(),
            exact: true,
        }),
        _ => None,
    };
    let change = Change {
        path: path.to_owned(),
        purpose: record.purpose,
        found,
        wanted,
    };
    change.apply(root)?;
    Ok(change)
}

/// The launcher's directory. If nothing else is in it, it is moved away first, so that a plugin that still runs cannot write
/// into it meanwhile. Returns what is left.
fn clear_launcher_dir(
    root: &Root,
    store: &Store<'_>,
    manifest: &Manifest,
    dir: &Path,
    files: &[(&PathBuf, &FileRecord)],
) -> Result<Vec<PathBuf>, UninstallError> {
    let content = Content::of(dir, files, &manifest.foreign);
    let fail = removal(dir);
    let outside = root.outside(dir);
    let name = outside.file_name().unwrap_or_default().to_string_lossy();
    let aside = outside.with_file_name(format!(".{name}.kubefence-removed"));
    // What an interrupted run has moved away.
    content.clear(&aside).map_err(&fail)?;
    if content.is_alone(&outside).map_err(&fail)? {
        match fs::rename(&outside, &aside) {
            Ok(()) => return bring_back(&content, &aside, &outside).map_err(fail),
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            // A mount of its own cannot be moved, nor can it to where something lies.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ResourceBusy | ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(error) => return Err(fail(error)),
        }
    }
    for (path, record) in files {
        take_away(root, store, path, record)?;
    }
    content.clear(&outside).map_err(fail)
}

/// Clears what was moved away; what came in between goes back.
fn bring_back(content: &Content<'_>, aside: &Path, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let left = content.clear(aside)?;
    if !left.is_empty() {
        fs::rename(aside, dir)?;
    }
    Ok(left)
}

/// Removes everything in a directory.
fn empty(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        remove_all(&entry?.path())?;
    }
    Ok(())
}

fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if is_absence(&error) => Ok(()),
        removed => removed,
    }
}

/// Removes a directory of records with what is in it. A mount of its own is emptied.
fn clear(root: &Root, dir: &Path) -> Result<(), UninstallError> {
    let Some(place) = root.locate(dir).map_err(read(dir))? else {
        return Ok(());
    };
    let outside = root.outside(&place);
    match remove_all(&outside) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            empty(&outside).map_err(removal(dir))
        }
        removed => removed.map_err(removal(dir)),
    }
}

fn read(path: &Path) -> impl FnOnce(io::Error) -> UninstallError {
    let path = path.to_owned();
    move |source| FileError::Read { path, source }.into()
}

fn removal(path: &Path) -> impl Fn(io::Error) -> UninstallError {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        FileError::Remove { path, source }.into()
    }
}
