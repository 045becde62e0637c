//! k3s and RKE2 before they had a drop-in directory: their template.
//!
//! They render `config.toml` from a template on every start. The template of an operator can take in the built-in one
//! (`{{ template "base" . }}`) and add to it.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::containerd::Change;
use super::detect::read_text;
use super::edit::{FileError, Settings, WholeTable, apply, parse};
use super::plan::{PlanError, header, is_own, resolved};
use super::template::{block, key, with_block};
use super::value::{Leaf, at, dotted, render, same};
use super::{Detected, EditKind, FileEdit, Kind, Version};
use crate::host::Host;

/// The containerd of the first releases that have the base template.
const WITH_BASE: Version = Version {
    major: 1,
    minor: 7,
    patch: 3,
};

const BASE: &str = "{{ template \"base\" . }}\n";

/// What the node's configuration says, and from where.
struct Stated<'a> {
    /// What containerd makes of it.
    effective: &'a Item,
    /// The file that is rendered from the template.
    rendered: DocumentMut,
    /// What the block says that is in the template already.
    ours: DocumentMut,
}

impl Stated<'_> {
    /// What the rendered file has from elsewhere.
    fn elsewhere(&self, path: &[String]) -> Option<&Item> {
        let is_ours = at(self.ours.as_item(), path).is_some();
        at(self.rendered.as_item(), path).filter(|_| !is_ours)
    }

    fn is_in_force(&self, (path, value): &Leaf) -> bool {
        let now = at(self.effective, path).and_then(Item::as_value);
        now.is_some_and(|now| same(now, value))
    }
}

/// What becomes of the template.
pub(super) fn template(
    host: &dyn Host,
    detected: &Detected,
    change: Change<'_>,
) -> Result<FileEdit, PlanError> {
    let path = resolved(host, &template_path(detected))?;
    let before = read_text(host, &path)?;
    if before.is_none() && detected.version < WITH_BASE {
        return Err(PlanError::NoBaseTemplate {
            template: path,
            version: detected.version,
        });
    }
    let fail = |source| FileError {
        path: path.clone(),
        source,
    };
    let text = before.clone().unwrap_or_else(|| header() + BASE);
    let ours = block(&text).map_err(fail)?.unwrap_or_default();
    let stated = Stated {
        effective: change.effective,
        rendered: rendered(host, detected)?,
        ours: parse(&ours).map_err(fail)?,
    };
    let settings = missing(&stated, detected, &path, change.nri, change.tables)?;
    let content = apply("", &settings, &[]).map_err(fail)?.text;
    let content = content.trim_start().to_owned();
    Ok(FileEdit {
        kind: match is_own(&text) {
            true => EditKind::Own,
            false => EditKind::Edited,
        },
        keys: vec![key(&content)],
        after: with_block(&text, &content).map_err(fail)?,
        path,
        before,
    })
}

/// Whether what is planned is a template: then nothing tells beforehand what the configuration will be.
pub(super) fn is_template(detected: &Detected) -> bool {
    detected.kind != Kind::Containerd && detected.drop_ins.is_none()
}

fn template_path(detected: &Detected) -> PathBuf {
    let name = match detected.schema {
        0..=2 => "config.toml.tmpl",
        _ => "config-v3.toml.tmpl",
    };
    detected.config.with_file_name(name)
}

fn rendered(host: &dyn Host, detected: &Detected) -> Result<DocumentMut, PlanError> {
    let text = read_text(host, &detected.config)?.unwrap_or_default();
    let rendered = parse(&text).map_err(|source| FileError {
        path: detected.config.clone(),
        source,
    })?;
    Ok(rendered)
}

/// What the rest of the template does not say.
fn missing(
    stated: &Stated<'_>,
    detected: &Detected,
    template: &Path,
    nri: Vec<Leaf>,
    tables: Vec<WholeTable>,
) -> Result<Settings, PlanError> {
    let tables = tables.into_iter();
    let tables = tables.filter(|table| stated.elsewhere(&table.path).is_none());
    let mut values = Vec::new();
    for leaf in nri {
        let (path, _) = &leaf;
        let table = stated.elsewhere(&path[..path.len() - 1]);
        let has_header = matches!(table, Some(Item::Table(table)) if !table.is_implicit());
        let is_ours = at(stated.ours.as_item(), path).is_some();
        match (has_header, stated.is_in_force(&leaf) && !is_ours) {
            (_, true) => {}
            (false, false) => values.push(leaf),
            (true, false) => {
                let found = stated.elsewhere(path).and_then(Item::as_value);
                return Err(PlanError::TemplateSays {
                    config: detected.config.clone(),
                    key: dotted(path),
                    value: found.map_or_else(|| "nothing".to_owned(), render),
                    template: template.to_owned(),
                });
            }
        }
    }
    Ok(Settings {
        values,
        tables: tables.collect(),
        marked: false,
    })
}
