//! What is generated is up to date, and every switch of the chart has a golden render.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chart::generated::{all, cases};
use chart::helm::Helm;
use chart::yaml::document;
use serde_json::{Map, Value};

#[test]
fn generated_files_are_up_to_date() {
    for (path, text) in all().unwrap() {
        let found = fs::read_to_string(&path).unwrap_or_default();
        let line = found.lines().zip(text.lines()).position(|(a, b)| a != b);
        assert!(
            found == text,
            "{}:{}: not what the chart renders now: run `make chart` and look at the difference",
            path.display(),
            line.map_or(1, |line| line + 1)
        );
    }
}

#[test]
fn every_golden_render_has_its_case() {
    let expected: BTreeSet<PathBuf> = cases().unwrap().into_iter().map(|c| c.golden).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let found: BTreeSet<PathBuf> = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_value_is_changed_by_some_case() {
    let defaults = read(&chart::chart().join("values.yaml"));
    let mut untouched = BTreeSet::new();
    leaves(&defaults, "", &mut untouched);
    assert!(untouched.len() > 40, "{untouched:?}");
    for case in cases().unwrap() {
        forget_changed(&defaults, &read(&case.values), "", &mut untouched);
    }
    assert_eq!(untouched, BTreeSet::new(), "no case changes these");
}

#[test]
fn helm_lint_is_content_with_every_case() {
    let helm = Helm::pinned().unwrap();
    for case in cases().unwrap() {
        let report = helm.lint(Some(&case.values)).unwrap();
        assert!(report.contains("0 chart(s) failed"), "{report}");
        assert!(!report.contains("[WARNING]"), "{report}");
    }
}

fn read(path: &Path) -> Value {
    document(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The places of all values that are not groups of values.
fn leaves(value: &Value, place: &str, into: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(entries) if is_group(place, entries) => {
            for (key, value) in entries {
                leaves(value, &format!("{place}/{key}"), into);
            }
        }
        _ => drop(into.insert(place.to_owned())),
    }
}

/// Whether a mapping is part of the chart's own structure.
fn is_group(place: &str, entries: &Map<String, Value>) -> bool {
    const FREE: [&str; 4] = [
        "/nodeSelector",
        "/seLinuxOptions",
        "/resources",
        "/nodeSetup/resources",
    ];
    !entries.is_empty() && !FREE.contains(&place)
}

fn forget_changed(defaults: &Value, case: &Value, place: &str, untouched: &mut BTreeSet<String>) {
    if untouched.contains(place) {
        if case != defaults {
            untouched.remove(place);
        }
        return;
    }
    for (key, value) in case.as_object().into_iter().flatten() {
        let default = &defaults[key];
        forget_changed(default, value, &format!("{place}/{key}"), untouched);
    }
}
