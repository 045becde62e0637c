//! `nono-runc.toml`: what the guard is told.

use std::path::Path;

use kubefence_profile::ProfileName;
use serde::{Deserialize, Serialize};

use crate::runtime::{Caller, ConfigPlan};

/// What becomes of containers that arrive without their sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnwrapped {
    /// They get it.
    #[default]
    Wrap,
    /// They are refused.
    Refuse,
}

/// The choices that profiles leave.
#[derive(Clone, Debug)]
pub struct ProfileChoice {
    /// The profile of containers that name none.
    pub default: ProfileName,
    /// What containers can choose; empty: every built-in profile.
    pub allowed: Vec<ProfileName>,
    /// What becomes of containers that arrive without their sandbox.
    pub on_unwrapped: OnUnwrapped,
}

const HEADER: &str = "\
# Written by `kubefence node install`, which replaces this file: change its options instead.
# https://toml.io; the keys are explained in docs/guard.md of kubefence.
";

/// What a container is created with, and is ended with, too.
const LASTING: [&str; 3] = ["runtime", "runtime_root", "called_by"];

/// The text of the file.
pub(crate) fn render(plan: &ConfigPlan, launcher: &Path, profiles: &ProfileChoice) -> String {
    let mut table = toml_edit::DocumentMut::new();
    let path = |path: &Path| toml_edit::value(path.to_string_lossy().into_owned());
    table["runtime"] = path(&plan.real_runtime);
    if let Some(root) = &plan.runtime_root {
        table["runtime_root"] = path(root);
    }
    table["called_by"] = toml_edit::value(match plan.caller {
        Caller::Containerd => "containerd",
        Caller::CriO => "cri-o",
    });
    table["nono_bin_path"] = path(launcher);
    table["default_profile"] = toml_edit::value(profiles.default.as_str());
    if !profiles.allowed.is_empty() {
        let names = profiles.allowed.iter().map(ProfileName::as_str);
        table["allowed_profiles"] = toml_edit::value(names.collect::<toml_edit::Array>());
    }
    table["on_unwrapped"] = toml_edit::value(match profiles.on_unwrapped {
        OnUnwrapped::Wrap => "wrap",
        OnUnwrapped::Refuse => "refuse",
    });
    format!("{HEADER}{table}")
}

/// Whether a file was written by [`render`].
pub(crate) fn is_own(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER.as_bytes())
}

/// What containers that exist depend on, and differs: the key, its value so far and the new one.
pub(crate) fn difference(found: &[u8], new: &[u8]) -> Option<(&'static str, String, String)> {
    let parse = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.parse::<toml_edit::DocumentMut>().unwrap_or_default()
    };
    let (found, new) = (parse(found), parse(new));
    let value = |table: &toml_edit::DocumentMut, key: &str| {
        let text = table.get(key).and_then(|item| item.as_str());
        text.unwrap_or("not set").to_owned()
    };
    // The same runtime in another place, as after an upgrade, knows its containers.
    let differ = |key: &str, found: &str, new: &str| match key {
        "runtime" => Path::new(found).file_name() != Path::new(new).file_name(),
        _ => found != new,
    };
    LASTING.into_iter().find_map(|key| {
        let (found, new) = (value(&found, key), value(&new, key));
        differ(key, &found, &new).then_some((key, found, new))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(runtime_root: Option<&str>, caller: Caller) -> ConfigPlan {
        ConfigPlan {
            edits: Vec::new(),
            real_runtime: "/usr/bin/runc".into(),
            runtime_root: runtime_root.map(Into::into),
            caller,
            validate: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn profiles(allowed: &[&str]) -> ProfileChoice {
        let name = |name: &&str| ProfileName::parse(name).unwrap();
        ProfileChoice {
            default: name(&"default"),
            allowed: allowed.iter().map(name).collect(),
            on_unwrapped: OnUnwrapped::Wrap,
        }
    }

    #[test]
    fn only_what_is_known_is_stated() {
        let launcher = Path::new("/opt/nono-nri/nono");
        let plain = render(&plan(None, Caller::Containerd), launcher, &profiles(&[]));
        assert_eq!(
            plain.strip_prefix(HEADER).unwrap(),
            "runtime = \"/usr/bin/runc\"\ncalled_by = \"containerd\"\nnono_bin_path = \"/opt/nono-nri/nono\"\n\
             default_profile = \"default\"\non_unwrapped = \"wrap\"\n"
        );
        let plan = plan(Some("/run/crio"), Caller::CriO);
        let full = render(&plan, launcher, &profiles(&["default", "team"]));
        for line in [
            "runtime_root = \"/run/crio\"",
            "called_by = \"cri-o\"",
            "allowed_profiles = [\"default\", \"team\"]",
        ] {
            assert!(
                full.lines().any(|found| found == line),
                "{line} is not in {full}"
            );
        }
    }

    #[test]
    fn only_what_containers_depend_on_is_a_difference() {
        let launcher = Path::new("/opt/nono-nri/nono");
        let with = |root: Option<&str>, allowed: &[&str]| {
            let text = render(&plan(root, Caller::CriO), launcher, &profiles(allowed));
            text.into_bytes()
        };
        let old = with(None, &[]);
        assert_eq!(difference(&old, &with(None, &["default"])), None, "control");
        let replaced = |with: &str| {
            let text = String::from_utf8(old.clone()).unwrap();
            text.replace("/usr/bin/runc", with).into_bytes()
        };
        assert_eq!(difference(&old, &replaced("/opt/runc")), None, "control");
        assert_eq!(
            difference(&old, &replaced("/usr/bin/crun")).unwrap().0,
            "runtime"
        );
        let changed = difference(&old, &with(Some("/run/crun"), &[])).unwrap();
        assert_eq!(
            changed,
            ("runtime_root", "not set".to_owned(), "/run/crun".to_owned())
        );
    }
}
