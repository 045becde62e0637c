//! What is tried: targets.toml, and the probes that it amounts to.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const TABLE: &str = include_str!("../targets.toml");

/// Operations that concern a file made in the directory, when a directory is tried.
const ON_A_FILE: [&str; 4] = ["read", "write", "truncate", "exec"];

/// The file that such operations concern.
pub(crate) const FILE: &str = "parity-file";

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Links in the place of directories.
    #[serde(rename = "link")]
    pub(crate) links: Vec<Link>,
    /// Targets and what is tried on them.
    #[serde(rename = "set")]
    pub(crate) sets: Vec<Set>,
}

/// A symbolic link that an image may have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    /// Where it is.
    pub(crate) path: String,
    /// The directory that it leads to.
    pub(crate) to: String,
}

/// Targets on which the same operations are tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    /// What they have in common; for readers of the table.
    #[serde(rename = "about")]
    _about: String,
    /// What is put there if the image has nothing.
    pub(crate) make: Make,
    /// To whom that belongs.
    #[serde(default)]
    pub(crate) owner: Owner,
    /// Its mode, if not the usual one.
    pub(crate) mode: Option<u32>,
    /// What is tried.
    pub(crate) operations: Vec<String>,
    /// Paths; or ports, or names.
    pub(crate) paths: Vec<String>,
}

/// What is put in the place of a target.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Make {
    /// A directory with an entry for each operation.
    Directory,
    /// A short file.
    File,
    /// A program that needs nothing else.
    Program,
    /// Nothing: the image or the kernel has it, or it is no path.
    Nothing,
}

/// To whom belongs what is made.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owner {
    /// The system.
    #[default]
    Root,
    /// Whoever runs the probes.
    User,
}

/// One operation on one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Probe {
    /// As probe.c calls it.
    pub(crate) operation: String,
    /// A path, in which `~` stands for the home; or a port or name.
    pub(crate) target: String,
}

impl Table {
    /// The table that is compiled in.
    pub(crate) fn read() -> Result<Self> {
        toml::from_str(TABLE).context("cannot parse targets.toml")
    }

    /// All probes, in the order of the table.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.sets.iter().flat_map(Set::probes).collect()
    }
}

impl Set {
    fn probes(&self) -> impl Iterator<Item = Probe> {
        self.paths.iter().flat_map(move |path| {
            let probe = move |operation: &String| Probe {
                operation: operation.clone(),
                target: self.target(path, operation),
            };
            self.operations.iter().map(probe)
        })
    }

    fn target(&self, path: &str, operation: &str) -> String {
        if self.make == Make::Directory && ON_A_FILE.contains(&operation) {
            format!("{path}/{FILE}")
        } else {
            path.to_owned()
        }
    }
}

/// The path that `target` means to somebody with this home.
pub(crate) fn expand(target: &str, home: &Path) -> PathBuf {
    match target.strip_prefix('~') {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => PathBuf::from(target),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workshop;

    #[test]
    fn no_probe_occurs_twice() {
        let probes = Table::read().unwrap().probes();
        let distinct: BTreeSet<&Probe> = probes.iter().collect();
        assert!(probes.len() > 1000, "{}", probes.len());
        assert_eq!(distinct.len(), probes.len());
    }

    #[test]
    fn every_place_of_the_profile_is_tried() {
        let targets: Vec<String> = {
            let probes = Table::read().unwrap().probes().into_iter();
            probes.map(|probe| probe.target).collect()
        };
        let plan = workshop::plan().unwrap();
        let granted = plan.rules.iter().map(|rule| rule.path.to_string());
        let denied = plan.deny.iter().map(ToString::to_string);
        for place in granted.chain(denied) {
            let Some(path) = as_target(&place) else {
                continue;
            };
            let tried = targets.iter().any(|t| Path::new(t).starts_with(&path));
            assert!(tried, "{place} is not in targets.toml");
        }
    }

    /// How the table writes a place of a profile. The program's own place is known to be in /usr/local/bin.
    fn as_target(place: &str) -> Option<String> {
        let known = [
            ("$HOME", "~"),
            ("/root", "~"),
            ("$TMPDIR", "/scratch"),
            ("$WORKDIR", "/work/project"),
        ];
        if place.starts_with("$ENTRYPOINT") || place.starts_with("/nono/") {
            return None;
        }
        let found = known.iter().find_map(|(prefix, written)| {
            let rest = place.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{written}{rest}"))
        });
        Some(found.unwrap_or_else(|| place.to_owned()))
    }

    #[test]
    fn a_tilde_is_the_home() {
        let home = Path::new("/home/user");
        for (target, path) in [
            ("~", "/home/user"),
            ("~/.ssh", "/home/user/.ssh"),
            ("/etc", "/etc"),
        ] {
            assert_eq!(expand(target, home), Path::new(path));
        }
    }
}
