//! containerd: its schemas, and finding out what it does now.
//!
//! The configuration in force comes from containerd itself (`containerd config dump`), so whatever its defaults, imports
//! and migrations make of the files is taken into account.

mod imports;
mod in_place;
mod nri;
mod place;
mod plan;

use std::path::{Path, PathBuf};

use toml_edit::Item;

use super::detect::{DetectError, ask, command, parse_printed, read_text, version_of};
use super::edit::{FileError, parse};
use super::handler::{Handler, Keys, handlers};
use super::value::{at, bool_at, text_at, texts_at};
use super::{Detected, Kind, Version, Wanted};
use crate::host::Host;

pub(super) use place::{Place, candidates, stated};
pub(super) use plan::{Change, plan};

/// The oldest containerd that is set up.
const OLDEST: Version = Version::new(1, 6);
/// The first one that has NRI.
const WITH_NRI: Version = Version::new(1, 7);
/// The first one in which a drop-in is merged key by key; before it, one replaces a plugin's whole section.
const MERGES: Version = Version::new(2, 0);
/// The first one whose NRI has a validator.
const WITH_VALIDATOR: Version = Version::new(2, 2);
/// The newest schema that is known.
const NEWEST_SCHEMA: u32 = 4;

const NRI: &str = "io.containerd.nri.v1.nri";
const SOCKET: &str = "/run/containerd/containerd.sock";

const RUNTIMES_V2: &[&str] = &["plugins", CRI_V2, "containerd", "runtimes"];
const RUNTIMES_V3: &[&str] = &["plugins", CRI_V3, "containerd", "runtimes"];
const CRI_V2: &str = "io.containerd.grpc.v1.cri";
const CRI_V3: &str = "io.containerd.cri.v1.runtime";

const KEYS: Keys = Keys {
    handlers: &[RUNTIMES_V2, RUNTIMES_V3],
    program: &["options", "BinaryName"],
    kind: "runtime_type",
    kinds: &["io.containerd.runc.v2"],
    needed: "runtime_type = \"io.containerd.runc.v2\"",
    annotations: &["pod_annotations", "container_annotations"],
};

/// The plugin whose section has the handlers.
fn cri_plugin(schema: u32) -> &'static str {
    match schema {
        0..=2 => CRI_V2,
        _ => CRI_V3,
    }
}

/// The keys that lead to a handler.
fn handler_path(schema: u32, name: &str) -> Vec<String> {
    let path = match schema {
        0..=2 => RUNTIMES_V2,
        _ => RUNTIMES_V3,
    };
    let path = path.iter().copied().chain([name]);
    path.map(str::to_owned).collect()
}

/// Looks at the containerd of a place.
pub(super) fn detect(
    host: &dyn Host,
    place: &Place,
    wanted: &Wanted,
) -> Result<Detected, DetectError> {
    let version = version_of(host, &place.program, OLDEST)?;
    let text = read_text(host, &place.config)?;
    let main = parse(text.as_deref().unwrap_or_default()).map_err(|source| FileError {
        path: place.config.clone(),
        source,
    })?;
    let stated = stated_schema(&place.config, main.as_item())?;
    let config = place.config.to_string_lossy().into_owned();
    let arguments = ["--config", config.as_str(), "config", "dump"];
    let effective = match text {
        Some(_) => ask(host, &place.program, &arguments)?,
        None => ask(host, &place.program, &["config", "default"])?,
    };
    let dumped = parse_printed(&place.program, &effective)?;
    check_disabled(&place.config, dumped.as_item())?;
    Ok(Detected {
        kind: place.kind,
        program: place.program.clone(),
        version,
        schema: stated.or(version_key(dumped.as_item())).unwrap_or(2),
        config: place.config.clone(),
        drop_ins: drop_ins(&place.config, main.as_item()).filter(|_| version >= MERGES),
        socket: socket(place, wanted, dumped.as_item()),
        units: place.units.to_vec(),
        dump: command(&place.program, &arguments),
        effective,
    })
}

fn version_key(config: &Item) -> Option<u32> {
    let number = at(config, &["version"])?.as_integer()?;
    u32::try_from(number).ok()
}

/// The schema of the main file; none if it says nothing that has a schema, so that the newest of the program will do.
fn stated_schema(config: &Path, main: &Item) -> Result<Option<u32>, DetectError> {
    let has_plugins = ["plugins", "disabled_plugins", "required_plugins"]
        .iter()
        .any(|key| at(main, &[key]).is_some());
    match version_key(main) {
        None if !has_plugins => Ok(None),
        Some(schema) if schema > NEWEST_SCHEMA => Err(DetectError::NewSchema {
            config: config.to_owned(),
            schema,
            newest: NEWEST_SCHEMA,
        }),
        Some(schema) if schema >= 2 => Ok(Some(schema)),
        _ => Err(DetectError::OldSchema {
            config: config.to_owned(),
        }),
    }
}

fn check_disabled(config: &Path, dumped: &Item) -> Result<(), DetectError> {
    let needed = [CRI_V2, CRI_V3, NRI];
    let disabled = texts_at(dumped, &["disabled_plugins"]);
    match disabled
        .into_iter()
        .find(|id| needed.contains(&id.as_str()))
    {
        Some(plugin) => Err(DetectError::Disabled {
            config: config.to_owned(),
            plugin,
        }),
        None => Ok(()),
    }
}

/// The directory from which the main file imports every `*.toml`.
fn drop_ins(config: &Path, main: &Item) -> Option<PathBuf> {
    let imports = texts_at(main, &["imports"]);
    let mut directories = imports.iter().filter_map(|import| {
        let directory = import.strip_suffix("/*.toml")?;
        (!directory.contains(['*', '?', '['])).then(|| imports::absolute(config, directory))
    });
    directories.next()
}

/// The handlers of a configuration in force.
fn all_handlers(effective: &Item) -> Vec<Handler> {
    let mut places = KEYS.handlers.iter();
    handlers(places.find_map(|place| at(effective, place)))
}

/// The handlers of a configuration in force, and whether NRI is on, or not to be had.
pub(super) fn in_force(effective: &Item, version: Version) -> (Vec<Handler>, &'static Keys, bool) {
    let is_on = bool_at(effective, &["plugins", NRI, "disable"]) == Some(false);
    (all_handlers(effective), &KEYS, version < WITH_NRI || is_on)
}

fn socket(place: &Place, wanted: &Wanted, dumped: &Item) -> PathBuf {
    if let Some(socket) = &wanted.socket {
        return socket.clone();
    }
    // k3s and RKE2 name it on the command line.
    if place.kind != Kind::Containerd {
        return place.socket.clone();
    }
    let places: [&[&str]; 2] = [
        &["plugins", "io.containerd.server.v1.grpc", "address"],
        &["grpc", "address"],
    ];
    let stated = places.iter().find_map(|path| text_at(dumped, path));
    PathBuf::from(
        stated
            .filter(|address| !address.is_empty())
            .unwrap_or(SOCKET),
    )
}
