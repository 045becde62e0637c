//! What every plan has in common: errors, and turning settings into files.

use std::io;
use std::path::{Path, PathBuf};

use super::detect::{DetectError, parse_printed, read_text};
use super::edit::{FileError, Settings, apply};
use super::handler::{ANNOTATIONS, Handler};
use super::lines::MARK;
use super::{
    ConfigPlan, Detected, EditKind, FileEdit, Kind, OwnedKey, Wanted, confirm, containerd, crio,
    withdraw,
};
use crate::host::Host;

/// Why no configuration can be planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read, or a program does not answer.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// A file cannot be edited.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no handler to copy.
    #[error(
        "the default handler {default:?} is no runc handler, and there is none to copy: define one with {needed} in {config}"
    )]
    NoRunc {
        /// The default handler.
        default: String,
        /// What a handler needs.
        needed: &'static str,
        /// The main configuration file.
        config: PathBuf,
    },
    /// The OCI runtime of the handler that is copied is not there.
    #[error(
        "the handler {handler:?} runs {program:?}, which is not on this node: install it, or name its path in {config}"
    )]
    NoRuntime {
        /// The handler.
        handler: String,
        /// Its runtime.
        program: String,
        /// The main configuration file.
        config: PathBuf,
    },
    /// Somebody else has a handler of that name.
    #[error(
        "{file} has a handler {handler:?} that runs {program}: remove it, or choose another name with --handler"
    )]
    HandlerTaken {
        /// The file.
        file: PathBuf,
        /// The handler.
        handler: String,
        /// What it runs.
        program: String,
    },
    /// Somebody else has a file of that name.
    #[error("{path} exists, and kubefence has not written it: remove or rename it")]
    FileTaken {
        /// The file.
        path: PathBuf,
    },
    /// The template of k3s or RKE2 cannot be extended.
    #[error(
        "{template} needs the base template, which containerd {version} of this node does not come with: upgrade, or write the template"
    )]
    NoBaseTemplate {
        /// The template.
        template: PathBuf,
        /// The version of containerd.
        version: super::Version,
    },
    /// The template of k3s or RKE2 sets something else.
    #[error(
        "{config} says {key} = {value}, and a template can say it only once: change it in {template}"
    )]
    TemplateSays {
        /// The rendered file.
        config: PathBuf,
        /// The key.
        key: String,
        /// What it must not be.
        value: String,
        /// The template.
        template: PathBuf,
    },
}

/// Says what becomes of the runtime's configuration.
pub fn plan(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
) -> Result<ConfigPlan, PlanError> {
    let mut plan = match detected.kind {
        Kind::Crio => crio::plan(host, detected, wanted)?,
        Kind::Containerd | Kind::K3s | Kind::Rke2 => containerd::plan(host, detected, wanted)?,
    };
    if is_done_by_hand(&plan, detected, wanted) {
        plan.edits.clear();
        plan.notes.push(format!(
            "the runtime was configured by hand for the guard (handler {}): its configuration stays as it is",
            wanted.handlers.join(", ")
        ));
        plan.notes.extend(deaf_handlers(detected, wanted));
        return Ok(plan);
    }
    let given_up = wanted.owned.iter().filter(|(path, _)| {
        let mut edits = plan.edits.iter();
        !edits.any(|edit| edit.path == **path)
    });
    let given_up = given_up.map(|(path, keys)| give_up(host, path, keys));
    let given_up: Vec<_> = given_up.collect::<Result<_, _>>()?;
    plan.edits.extend(given_up.into_iter().flatten());
    Ok(plan)
}

/// Whether somebody has done already what is planned: then it is theirs, also to take back.
fn is_done_by_hand(plan: &ConfigPlan, detected: &Detected, wanted: &Wanted) -> bool {
    let is_ours = |edit: &FileEdit| edit.kind == EditKind::Own && edit.before.is_some();
    let ours = !wanted.owned.is_empty() || plan.edits.iter().any(is_ours);
    !ours && confirm(&detected.effective, detected, wanted).is_ok()
}

/// What to say of handlers that do not pass on which profile a pod asks for.
fn deaf_handlers(detected: &Detected, wanted: &Wanted) -> Vec<String> {
    let Ok(effective) = parse_printed(&detected.program, &detected.effective) else {
        return Vec::new();
    };
    let (known, keys, _) = match detected.kind {
        // It passes every annotation on.
        Kind::Crio => return Vec::new(),
        _ => containerd::in_force(effective.as_item(), detected.version),
    };
    let known = known
        .iter()
        .filter(|handler| wanted.handlers.contains(&handler.name));
    let deaf = known.filter(|handler| !handler.passes_choice_on(keys));
    let note = |handler: &Handler| {
        format!(
            "the handler {:?} does not pass on which profile a pod asks for: add {} to its {}",
            handler.name,
            ANNOTATIONS
                .map(|annotation| format!("{annotation:?}"))
                .join(", "),
            keys.annotations.first().unwrap_or(&""),
        )
    };
    deaf.map(note).collect()
}

/// Takes kubefence's keys out of a file that needs them no longer. A file of its own just goes.
fn give_up(host: &dyn Host, path: &Path, keys: &[OwnedKey]) -> Result<Option<FileEdit>, PlanError> {
    let Some(before) = read_text(host, path)?.filter(|text| !is_own(text)) else {
        return Ok(None);
    };
    let withdrawn = withdraw(&before, keys).map_err(|source| FileError {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(FileEdit {
        path: path.to_owned(),
        kind: EditKind::Edited,
        keys: Vec::new(),
        before: Some(before),
        after: withdrawn.text,
    }))
}

/// The first line of a file that is kubefence's own.
pub(super) fn header() -> String {
    format!(
        "{MARK} written by `kubefence node install`; `kubefence node uninstall` removes this file.\n"
    )
}

/// Whether a file is kubefence's own.
pub(super) fn is_own(text: &str) -> bool {
    text.starts_with(&header())
}

/// The file that a path leads to.
pub(super) fn resolved(host: &dyn Host, path: &Path) -> Result<PathBuf, PlanError> {
    let resolved = host.resolve(path).map_err(|source| PlanError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(resolved.unwrap_or_else(|| path.to_owned()))
}

/// What a TOML file becomes. One that is not there becomes kubefence's own.
pub(super) fn toml_file(
    host: &dyn Host,
    path: &Path,
    settings: &Settings,
    wanted: &Wanted,
) -> Result<FileEdit, PlanError> {
    let path = resolved(host, path)?;
    let before = read_text(host, &path)?;
    let text = before.clone().unwrap_or_else(header);
    let kind = match is_own(&text) {
        true => EditKind::Own,
        false => EditKind::Edited,
    };
    let owned = wanted.owned.get(&path).map_or(&[][..], Vec::as_slice);
    let settings = Settings {
        marked: kind == EditKind::Edited,
        ..settings.clone()
    };
    let edited = apply(&text, &settings, owned).map_err(|source| FileError {
        path: path.clone(),
        source,
    })?;
    Ok(FileEdit {
        path,
        kind,
        keys: edited.keys,
        before,
        after: edited.text,
    })
}

/// What a drop-in becomes. A file of somebody else is no place for it.
pub(super) fn drop_in(
    host: &dyn Host,
    path: &Path,
    settings: &Settings,
    wanted: &Wanted,
) -> Result<FileEdit, PlanError> {
    let edit = toml_file(host, path, settings, wanted)?;
    match edit.kind {
        EditKind::Own => Ok(edit),
        EditKind::Edited => Err(PlanError::FileTaken { path: edit.path }),
    }
}
