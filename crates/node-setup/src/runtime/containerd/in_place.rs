//! Editing the files that are there.
//!
//! That is the main file. Before containerd 2.0, where a file replaces the sections of those before it, it is the last
//! one that has the section.

use std::path::{Path, PathBuf};

use super::imports::{Source, sources};
use super::plan::{Change, settings};
use super::{MERGES, NRI, cri_plugin};
use crate::host::Host;
use crate::runtime::edit::{Settings, WholeTable};
use crate::runtime::plan::{PlanError, resolved, toml_file};
use crate::runtime::value::{Leaf, at, bool_at};
use crate::runtime::{Detected, FileEdit, Wanted};

/// A file, and what is to be put into it.
type Part = (PathBuf, Vec<Leaf>, Vec<WholeTable>);

/// What becomes of the files.
pub(super) fn edits(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
    change: Change<'_>,
) -> Result<Vec<FileEdit>, PlanError> {
    let sources = sources(host, &detected.config)?;
    let parts = parts(host, detected, wanted, &sources, change)?;
    let edits = parts.into_iter().map(|(path, values, tables)| {
        let settings = match path == detected.config {
            true => settings(detected, values, tables),
            false => Settings {
                values,
                tables,
                marked: true,
            },
        };
        toml_file(host, &path, &settings, wanted)
    });
    edits.collect()
}

fn parts(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
    sources: &[Source],
    mut change: Change<'_>,
) -> Result<Vec<Part>, PlanError> {
    let place = |plugin: &str| {
        let has = |source: &&Source| at(source.document.as_item(), &["plugins", plugin]).is_some();
        let replaces = detected.version < MERGES;
        let last = sources.iter().rev().filter(|_| replaces).find(has);
        last.map_or_else(|| detected.config.clone(), |source| source.path.clone())
    };
    let (for_nri, for_handlers) = (place(NRI), place(cri_plugin(detected.schema)));
    let ours = owned(host, wanted, &for_nri)?;
    change.nri.retain(|(path, value)| {
        let is_so = bool_at(change.effective, path) == value.as_bool();
        sources.is_empty() || !is_so || ours.contains(&path)
    });
    let ours = owned(host, wanted, &for_handlers)?;
    let target = sources.iter().find(|source| source.path == for_handlers);
    change.tables.retain(|table| {
        let stated = target.and_then(|target| at(target.document.as_item(), &table.path));
        !table.is_default || stated.is_none() || ours.contains(&&table.path)
    });
    let Change { nri, tables, .. } = change;
    Ok(match for_nri == for_handlers {
        true => vec![(for_handlers, nri, tables)],
        false => vec![(for_nri, nri, vec![]), (for_handlers, vec![], tables)],
    })
}

/// The keys that are kubefence's in a file.
fn owned<'a>(
    host: &dyn Host,
    wanted: &'a Wanted,
    file: &Path,
) -> Result<Vec<&'a Vec<String>>, PlanError> {
    let keys = wanted.owned.get(&resolved(host, file)?);
    Ok(keys.into_iter().flatten().map(|key| &key.path).collect())
}
