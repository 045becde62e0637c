//! CRI-O: its drop-ins, and finding out what it does now.
//!
//! A drop-in replaces a handler's whole table, so the copy is complete, and one file is enough. What CRI-O prints of its
//! configuration (`crio config`) has defaults as comments and lacks some keys of handlers, so those are read from the files.

use std::path::{Path, PathBuf};

use toml_edit::{Item, Value};

use super::detect::{DetectError, ask, command, parse_printed, read_text, version_of};
use super::edit::{FileError, Settings, WholeTable, parse};
use super::handler::{Handler, Keys, Known, handlers};
use super::plan::{PlanError, drop_in, is_own};
use super::value::{at, bool_at, text_at, texts_at};
use super::{Caller, ConfigPlan, Detected, Kind, Version, Wanted};
use crate::host::Host;

/// The sockets that CRI-O listens on by default.
pub(super) const SOCKETS: [&str; 2] = ["/var/run/crio/crio.sock", "/run/crio/crio.sock"];

const CONFIG: &str = "/etc/crio/crio.conf";
/// The name of the drop-in: late, so that little comes after it.
const DROP_IN: &str = "99-kubefence.conf";
/// The first CRI-O that has NRI.
const OLDEST: Version = Version::new(1, 26);
/// The first one whose NRI has a validator.
const WITH_VALIDATOR: Version = Version::new(1, 34);

const RUNTIMES: [&str; 3] = ["crio", "runtime", "runtimes"];
const DEFAULT_RUNTIME: [&str; 3] = ["crio", "runtime", "default_runtime"];
const LISTEN: [&str; 3] = ["crio", "api", "listen"];
const ENABLE_NRI: [&str; 3] = ["crio", "nri", "enable_nri"];
const VALIDATOR: [&str; 3] = ["crio", "nri", "default_validator"];

/// What only the default handler may say: the copy has a path of its own.
const NOT_COPIED: [&str; 2] = ["inherit_default_runtime", "platform_runtime_paths"];

const KEYS: Keys = Keys {
    handlers: &[&RUNTIMES],
    program: &["runtime_path"],
    kind: "runtime_type",
    kinds: &["", "oci"],
    needed: "runtime_type = \"oci\"",
    // CRI-O passes every annotation of a pod on, and refuses to start with one in `allowed_annotations` that is not its own.
    annotations: &[],
};

/// The program, if the node has it.
pub(super) fn program(host: &dyn Host) -> Option<PathBuf> {
    host.find_program("crio")
}

/// Looks at a CRI-O.
pub(super) fn detect(
    host: &dyn Host,
    program: &Path,
    wanted: &Wanted,
) -> Result<Detected, DetectError> {
    let version = version_of(host, program, OLDEST)?;
    let config = wanted.config.clone().unwrap_or_else(|| CONFIG.into());
    let main = config.to_string_lossy().into_owned();
    let drop_ins = format!("{main}.d");
    let mut arguments = vec!["--config-dir", drop_ins.as_str()];
    if read_text(host, &config)?.is_some() {
        arguments.extend(["--config", main.as_str()]);
    }
    arguments.push("config");
    let effective = stated(&ask(host, program, &arguments)?);
    let parsed = parse_printed(program, &effective)?;
    let listen = text_at(parsed.as_item(), &LISTEN).unwrap_or(SOCKETS[0]);
    Ok(Detected {
        kind: Kind::Crio,
        program: program.to_owned(),
        version,
        schema: 0,
        dump: command(program, &arguments),
        drop_ins: Some(PathBuf::from(&drop_ins)),
        config,
        socket: wanted.socket.clone().unwrap_or_else(|| listen.into()),
        units: vec!["crio.service", "cri-o.service"],
        effective,
    })
}

/// What `crio config` says, with the defaults that matter here: it prints them as comments.
pub(super) fn stated(printed: &str) -> String {
    let mut text = String::new();
    let mut in_handler = false;
    for line in printed.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let name = bare.strip_prefix("[crio.runtime.runtimes.");
        // The explanation of the table has a heading of this name.
        in_handler = match name {
            Some(name) => name != "runtime-handler]",
            None => in_handler && !line.is_empty(),
        };
        let is_default = ["default_runtime = ", "listen = ", "enable_nri = "]
            .iter()
            .any(|key| bare.starts_with(key));
        text.push_str(if in_handler || is_default { bare } else { line });
        text.push('\n');
    }
    text
}

/// The handlers of a configuration in force, and whether NRI is on.
pub(super) fn in_force(effective: &Item) -> (Vec<Handler>, &'static Keys, bool) {
    let known = handlers(at(effective, &RUNTIMES));
    (known, &KEYS, bool_at(effective, &ENABLE_NRI) == Some(true))
}

/// Plans for CRI-O.
pub(super) fn plan(
    host: &dyn Host,
    detected: &Detected,
    wanted: &Wanted,
) -> Result<ConfigPlan, PlanError> {
    let effective = parse_printed(&detected.program, &detected.effective)?;
    let files = files(host, detected)?;
    let known = known(effective.as_item(), &files, wanted);
    let mut notes = Vec::new();
    check_free(detected, wanted, &known, &files)?;
    let is_there = |handler: &Handler| real_runtime(host, detected, handler).is_ok();
    let base = known.choose(&detected.config, is_there, &mut notes)?;
    let settings = Settings {
        values: nri(detected, effective.as_item(), &files, &mut notes),
        tables: tables(base, wanted),
        marked: false,
    };
    let directory = detected.drop_ins.clone().unwrap_or_default();
    let runtime_root = base.text(&["runtime_root"]);
    Ok(ConfigPlan {
        edits: vec![drop_in(host, &directory.join(DROP_IN), &settings, wanted)?],
        real_runtime: real_runtime(host, detected, base)?,
        runtime_root: (!runtime_root.is_empty()).then(|| runtime_root.into()),
        caller: Caller::CriO,
        validate: detected.dump.clone(),
        notes,
    })
}

/// The handlers, each as the last file that has it says; what CRI-O prints of it lacks some keys.
fn known(effective: &Item, files: &[File], wanted: &Wanted) -> Known {
    let mut known = handlers(at(effective, &RUNTIMES));
    for handler in &mut known {
        let defined = files.iter().rev().find_map(|(_, file)| {
            let mut handlers = handlers(at(file.as_item(), &RUNTIMES)).into_iter();
            handlers.find(|found| found.name == handler.name)
        });
        if let Some(defined) = defined {
            handler.leaves = defined.leaves;
        }
    }
    let default = text_at(effective, &DEFAULT_RUNTIME).unwrap_or("crun");
    Known::new(&KEYS, known, default, wanted)
}

fn tables(base: &Handler, wanted: &Wanted) -> Vec<WholeTable> {
    let mut copied = base.clone();
    copied
        .leaves
        .retain(|(path, _)| !NOT_COPIED.contains(&path[0].as_str()));
    let names = wanted.handlers.iter();
    let tables = names.map(|name| {
        let path = RUNTIMES.into_iter().chain([name.as_str()]);
        copied.guarded(&KEYS, &wanted.guard, path.map(str::to_owned).collect())
    });
    tables.collect()
}

/// A file of the configuration.
type File = (PathBuf, toml_edit::DocumentMut);

/// The main file and the drop-ins of others, in the order in which CRI-O reads them.
fn files(host: &dyn Host, detected: &Detected) -> Result<Vec<File>, PlanError> {
    let directory = detected.drop_ins.clone().unwrap_or_default();
    let drop_ins = host.list(&directory).map_err(|source| PlanError::Read {
        path: directory,
        source,
    })?;
    let mut files = Vec::new();
    for path in [detected.config.clone()].into_iter().chain(drop_ins) {
        let text = match read_text(host, &path) {
            // A directory below: what is in there counts, too, but nobody is known to use that.
            Err(DetectError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::IsADirectory =>
            {
                continue;
            }
            text => text?,
        };
        let Some(text) = text.filter(|text| !is_own(text)) else {
            continue;
        };
        let document = parse(&text).map_err(|source| FileError {
            path: path.clone(),
            source,
        })?;
        files.push((path, document));
    }
    Ok(files)
}

fn check_free(
    detected: &Detected,
    wanted: &Wanted,
    known: &Known,
    files: &[File],
) -> Result<(), PlanError> {
    let Some(handler) = known.taken(wanted) else {
        return Ok(());
    };
    let path = RUNTIMES.into_iter().chain([handler.name.as_str()]);
    let path: Vec<&str> = path.collect();
    let file = files.iter().rev();
    let file = file.map(|(path, file)| (path, file.as_item()));
    let mut defining = file.filter(|(_, file)| at(file, &path).is_some());
    Err(PlanError::HandlerTaken {
        file: defining
            .next()
            .map_or_else(|| detected.config.clone(), |(path, _)| path.clone()),
        handler: handler.name.clone(),
        program: handler.text(KEYS.program).to_owned(),
    })
}

/// The OCI runtime of a handler; without a path it is called as the handler is.
fn real_runtime(
    host: &dyn Host,
    detected: &Detected,
    base: &Handler,
) -> Result<PathBuf, PlanError> {
    let platform = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        other => other,
    };
    let stated = [
        base.text(&["platform_runtime_paths", platform]),
        base.text(KEYS.program),
        base.name.as_str(),
    ];
    let name = stated.into_iter().find(|name| !name.is_empty());
    let name = name.unwrap_or_default();
    host.find_program(name).ok_or_else(|| PlanError::NoRuntime {
        handler: base.name.clone(),
        program: name.to_owned(),
        config: detected.config.clone(),
    })
}

fn nri(
    detected: &Detected,
    effective: &Item,
    files: &[File],
    notes: &mut Vec<String>,
) -> Vec<(Vec<String>, Value)> {
    let owned = |path: &[&str]| path.iter().map(|key| (*key).to_owned()).collect();
    let mut values = vec![(owned(&ENABLE_NRI), Value::from(true))];
    if detected.version < WITH_VALIDATOR {
        return values;
    }
    let [crio, nri, validator] = VALIDATOR;
    let enable = [crio, nri, validator, "nri_enable_default_validator"];
    let required = [crio, nri, validator, "nri_validator_required_plugins"];
    let all = || files.iter().map(|(_, file)| file.as_item()).rev();
    let is_on = all().find_map(|file| bool_at(file, &enable)) == Some(true);
    let listed = all().find(|file| at(file, &required).is_some());
    let listed = listed
        .or(Some(effective))
        .map(|file| texts_at(file, &required));
    match listed {
        Some(listed) if !is_on && !listed.is_empty() => notes.push(format!(
            "NRI's default validator stays off: it would require {} of every pod (nri_validator_required_plugins)",
            listed.join(", ")
        )),
        _ => values.push((owned(&enable), Value::from(true))),
    }
    values
}
