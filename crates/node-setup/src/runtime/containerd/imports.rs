//! The files that a main file imports.

use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use crate::host::Host;
use crate::runtime::detect::read_text;
use crate::runtime::edit::{FileError, parse};
use crate::runtime::plan::PlanError;
use crate::runtime::value::texts_at;

/// A configuration file.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) document: DocumentMut,
}

/// The main file and everything that it imports, in the order in which containerd reads them: what comes later wins.
pub(super) fn sources(host: &dyn Host, main: &Path) -> Result<Vec<Source>, PlanError> {
    let mut pending = std::collections::VecDeque::from([main.to_owned()]);
    let mut sources: Vec<Source> = Vec::new();
    while let Some(path) = pending.pop_front() {
        if sources.iter().any(|source| source.path == path) {
            continue;
        }
        let Some(text) = read_text(host, &path)? else {
            continue;
        };
        let document = parse(&text).map_err(|source| FileError {
            path: path.clone(),
            source,
        })?;
        for import in texts_at(document.as_item(), &["imports"]) {
            pending.extend(matching(host, &absolute(&path, &import))?);
        }
        sources.push(Source { path, document });
    }
    Ok(sources)
}

/// What an import names; relative to the file that has it.
pub(super) fn absolute(file: &Path, import: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).join(import)
}

/// The files that a path stands for: itself, or, if its last part has a `*`, all that match.
fn matching(host: &dyn Host, path: &Path) -> Result<Vec<PathBuf>, PlanError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(directory), Some((start, end))) =
        (path.parent(), name.and_then(|name| name.split_once('*')))
    else {
        return Ok(vec![path.to_owned()]);
    };
    let listed = host.list(directory).map_err(|source| PlanError::Read {
        path: directory.to_owned(),
        source,
    })?;
    let matches = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
    };
    Ok(listed.into_iter().filter(matches).collect())
}
