//! What containerd is told about NRI.

use toml_edit::{Item, Value};

use super::{NRI, WITH_NRI, WITH_VALIDATOR};
use crate::runtime::Detected;
use crate::runtime::value::{Leaf, bool_at, texts_at};

fn key(keys: &[&str]) -> Vec<String> {
    let keys = ["plugins", NRI].into_iter().chain(keys.iter().copied());
    keys.map(str::to_owned).collect()
}

/// NRI, and its validator without a list: pods ask for the plugin one by one, and no list can keep a node from starting.
pub(super) fn settings(
    detected: &Detected,
    effective: &Item,
    notes: &mut Vec<String>,
) -> Vec<Leaf> {
    if detected.version < WITH_NRI {
        notes.push(format!(
            "containerd {} has no NRI: the guard alone confines containers",
            detected.version
        ));
        return Vec::new();
    }
    if bool_at(effective, &key(&["disable_connections"])) == Some(true) {
        notes.push(
            "NRI takes no connections (disable_connections = true), so the plugin cannot connect: the guard alone \
             confines containers"
                .to_owned(),
        );
    }
    let mut values = vec![(key(&["disable"]), Value::from(false))];
    if detected.version < WITH_VALIDATOR {
        return values;
    }
    let enable = key(&["default_validator", "enable"]);
    let listed = texts_at(effective, &key(&["default_validator", "required_plugins"]));
    if bool_at(effective, &enable) != Some(true) && !listed.is_empty() {
        notes.push(format!(
            "NRI's default validator stays off: it would require {} of every pod (required_plugins)",
            listed.join(", ")
        ));
    } else {
        values.push((enable, Value::from(true)));
    }
    values
}
