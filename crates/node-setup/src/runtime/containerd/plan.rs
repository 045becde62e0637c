//! What becomes of containerd's configuration.

use std::path::{Path, PathBuf};

use toml_edit::{Item, Value};

use super::imports::{Source, sources};
use super::{KEYS, MERGES, all_handlers, cri_plugin, handler_path, in_place, nri, version_key};
use crate::host::Host;
use crate::runtime::detect::parse_printed;
use crate::runtime::edit::{Settings, WholeTable};
use crate::runtime::handler::{Handler, Known};
use crate::runtime::plan::{PlanError, drop_in};
use crate::runtime::rancher;
use crate::runtime::value::{Leaf, at, text_at};
use crate::runtime::{Caller, ConfigPlan, Detected, FileEdit, Kind, Wanted};

/// The name of the drop-in: late, so that little comes after it.
const DROP_IN: &str = "99-kubefence.toml";

/// Plans for containerd, wherever it runs.
pub(in crate::runtime) fn plan(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
) -> Result<ConfigPlan, PlanError> {
    let effective = parse_printed(&detected.program, &detected.effective)?;
    let known = known(effective.as_item(), wanted);
    let mut notes = Vec::new();
    check_free(host, detected, wanted, &known)?;
    let is_there = |handler: &Handler| real_runtime(host, detected, handler).is_ok();
    let base = known.choose(&detected.config, is_there, &mut notes)?;
    let real_runtime = real_runtime(host, detected, base)?;
    let change = Change {
        nri: nri::settings(detected, effective.as_item(), &mut notes),
        tables: tables(detected, wanted, &known, base),
        effective: effective.as_item(),
    };
    Ok(ConfigPlan {
        edits: edits(host, detected, wanted, change)?,
        runtime_root: runtime_root(&real_runtime),
        real_runtime,
        caller: Caller::Containerd,
        validate: match rancher::is_template(detected) {
            true => Vec::new(),
            false => detected.dump.clone(),
        },
        notes,
    })
}

/// What is to be put somewhere.
pub(in crate::runtime) struct Change<'a> {
    pub(in crate::runtime) nri: Vec<Leaf>,
    pub(in crate::runtime) tables: Vec<WholeTable>,
    /// The configuration in force.
    pub(in crate::runtime) effective: &'a Item,
}

/// A drop-in where one is read, the template of k3s and RKE2 otherwise, or the files that are there.
fn edits(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
    change: Change<'_>,
) -> Result<Vec<FileEdit>, PlanError> {
    match (detected.kind, &detected.drop_ins) {
        (_, Some(directory)) => {
            let settings = settings(detected, change.nri, change.tables);
            let edit = drop_in(host, &directory.join(DROP_IN), &settings, wanted)?;
            Ok(vec![edit])
        }
        (Kind::K3s | Kind::Rke2, None) => Ok(vec![rancher::template(host, detected, change)?]),
        (_, None) => in_place::edits(host, detected, wanted, change),
    }
}

/// What a whole file says.
pub(super) fn settings(
    detected: &Detected,
    values: Vec<Leaf>,
    tables: Vec<WholeTable>,
) -> Settings {
    let version = Value::from(i64::from(detected.schema));
    let version = (vec!["version".to_owned()], version);
    Settings {
        values: [version].into_iter().chain(values).collect(),
        tables,
        marked: false,
    }
}

fn known(effective: &Item, wanted: &Wanted) -> Known {
    let plugin = cri_plugin(version_key(effective).unwrap_or(2));
    let path = ["plugins", plugin, "containerd", "default_runtime_name"];
    let default = text_at(effective, &path).unwrap_or("runc");
    Known::new(&KEYS, all_handlers(effective), default, wanted)
}

/// The handlers that are wanted. Before containerd 2.0 also those of others, as they are: a file that has any handler has to
/// have all, or the default one would be gone, and the node with it.
fn tables(detected: &Detected, wanted: &Wanted, known: &Known, base: &Handler) -> Vec<WholeTable> {
    let path = |name: &str| handler_path(detected.schema, name);
    let others = known.of_others().filter(|_| detected.version < MERGES);
    let others = others.map(|handler| WholeTable {
        path: path(&handler.name),
        leaves: handler.stated(),
        is_default: true,
    });
    let wanted = wanted
        .handlers
        .iter()
        .map(|name| base.guarded(&KEYS, &wanted.guard, path(name)));
    others.chain(wanted).collect()
}

/// The OCI runtime of a handler. containerd's shim looks for a bare name in its own PATH, which for k3s and RKE2 begins
/// with their own programs.
fn real_runtime(
    host: &dyn Host,
    detected: &Detected,
    base: &Handler,
) -> Result<PathBuf, PlanError> {
    let name = match base.text(KEYS.program) {
        "" => "runc",
        name => name,
    };
    let beside = detected.program.with_file_name(name);
    let beside = (detected.kind != Kind::Containerd).then_some(beside);
    let beside = beside.and_then(|path| host.find_program(path.to_str()?));
    beside
        .or_else(|| host.find_program(name))
        .ok_or_else(|| PlanError::NoRuntime {
            handler: base.name.clone(),
            program: name.to_owned(),
            config: detected.config.clone(),
        })
}

/// containerd always tells the runtime where to keep containers; the guard wants to know it for runtimes whose name does
/// not tell (nvidia-container-runtime and others run runc).
fn runtime_root(real: &Path) -> Option<PathBuf> {
    let name = real.file_name().and_then(|name| name.to_str());
    match name {
        Some("runc" | "crun" | "youki") => None,
        _ => Some(PathBuf::from("/run/runc")),
    }
}

/// Is one of the handlers somebody else's?
fn check_free(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
    known: &Known,
) -> Result<(), PlanError> {
    let Some(handler) = known.taken(wanted) else {
        return Ok(());
    };
    let path = handler_path(detected.schema, &handler.name);
    let defines = |source: &Source| at(source.document.as_item(), &path).is_some();
    let sources = sources(host, &detected.config)?;
    let file = sources.into_iter().rev().find(defines);
    let program = match (handler.text(KEYS.program), handler.text(&[KEYS.kind])) {
        ("", kind) => kind.to_owned(),
        (program, _) => program.to_owned(),
    };
    Err(PlanError::HandlerTaken {
        file: file.map_or_else(|| detected.config.clone(), |source| source.path),
        handler: handler.name.clone(),
        program,
    })
}
