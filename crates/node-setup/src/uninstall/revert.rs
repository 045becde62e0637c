//! What becomes of the runtime's configuration without kubefence.

use std::path::Path;

use super::UninstallError;
use crate::change::{Change, Wanted};
use crate::files::{self, Found};
use crate::manifest::{Fate, FileRecord, Manifest, Store};
use crate::root::Root;
use crate::runtime;

/// One file's way back.
#[derive(Debug)]
pub(super) struct Revert {
    pub(super) change: Change,
    /// What is left in it, or of it: one sentence each.
    pub(super) left: Vec<String>,
}

impl Revert {
    /// The way back of each of the runtime's files. Nothing is changed.
    pub(super) fn plan(
        root: &Root,
        state_dir: &Path,
        manifest: &Manifest,
    ) -> Result<Vec<Self>, UninstallError> {
        let store = Store::new(root, state_dir);
        let files = manifest.files.iter();
        files
            .filter(|(_, record)| record.purpose.is_runtime_config())
            .map(|(path, record)| Self::of(root, &store, path, record))
            .collect()
    }

    fn of(
        root: &Root,
        store: &Store<'_>,
        path: &Path,
        record: &FileRecord,
    ) -> Result<Self, UninstallError> {
        let found = files::find(root, path)?;
        let mut left = Vec::new();
        let wanted = match (&found, record.fate(found.as_ref())) {
            (None, Fate::Missing) => {
                left.push(format!(
                    "{}: somebody has removed it since; it stays so",
                    path.display()
                ));
                None
            }
            (None, _) => None,
            (Some(_), Fate::Intact) => original(store, path, record)?,
            (Some(found), Fate::Changed) => without_ours(path, record, found, &mut left)?,
            (Some(found), _) => Some(kept(found)),
        };
        Ok(Self {
            change: Change {
                path: path.to_owned(),
                purpose: record.purpose,
                found,
                wanted,
            },
            left,
        })
    }

    /// What is done, in a word.
    pub(super) fn verb(&self) -> &'static str {
        match (&self.change.wanted, self.left.is_empty()) {
            (None, _) => "removing",
            (Some(_), true) => "restoring",
            (Some(_), false) => "taking kubefence's part out of",
        }
    }
}

/// What stood there, with its mode, owner and time.
fn original(
    store: &Store<'_>,
    path: &Path,
    record: &FileRecord,
) -> Result<Option<Wanted>, UninstallError> {
    let Some(before) = &record.before else {
        return Ok(None);
    };
    Ok(Some(Wanted {
        bytes: store.backup_of(path, before)?,
        attributes: before.attributes.clone(),
        exact: false,
    }))
}

fn without_ours(
    path: &Path,
    record: &FileRecord,
    found: &Found,
    left: &mut Vec<String>,
) -> Result<Option<Wanted>, UninstallError> {
    let fail = |source| UninstallError::Edit {
        path: path.to_owned(),
        source,
    };
    let text = String::from_utf8_lossy(&found.bytes);
    let without = runtime::withdraw(&text, &record.keys).map_err(fail)?;
    if record.before.is_none() && without.text.trim().is_empty() {
        return Ok(None);
    }
    left.push(format!(
        "{}: somebody has changed it since; only kubefence's part was taken out",
        path.display()
    ));
    let said = without.left.iter().chain(&without.lost);
    left.extend(said.map(|what| format!("{}: {what}", path.display())));
    Ok(Some(Wanted {
        bytes: without.text.into_bytes(),
        ..kept(found)
    }))
}

fn kept(found: &Found) -> Wanted {
    Wanted {
        bytes: found.bytes.clone(),
        attributes: found.attributes.changed_now(),
        exact: false,
    }
}
