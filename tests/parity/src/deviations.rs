//! The differences that are meant: deviations.toml, and the table that docs/parity.md makes of it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::outcome::Verdict;
use crate::runs::User;
use crate::targets::Probe;

const TABLE: &str = include_str!("../deviations.toml");

/// Ends a path that stands for everything below it as well.
const BELOW: &str = "/**";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "deviation")]
    deviations: Vec<Deviation>,
}

/// Operations on which the two are meant to differ, all in the same way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deviation {
    /// Targets as in targets.toml; one that ends with `/**` stands for itself and all below it.
    pub(crate) paths: Vec<String>,
    /// Operations as in targets.toml.
    pub(crate) operations: Vec<String>,
    /// Only as this user; both, if unset.
    pub(crate) user: Option<User>,
    /// What upstream nono does.
    pub(crate) nono: Verdict,
    /// What our launcher does.
    pub(crate) ours: Verdict,
    /// Why it is meant.
    pub(crate) reason: String,
}

/// The deviations that are compiled in.
pub(crate) fn read() -> Result<Vec<Deviation>> {
    parse(TABLE)
}

/// Deviations from the text of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Deviation>> {
    let file: File = toml::from_str(text).context("cannot parse deviations.toml")?;
    Ok(file.deviations)
}

impl Deviation {
    /// Which of its paths and operations cover a probe whose outcomes differ like this, by their positions.
    pub(crate) fn covers(
        &self,
        probe: &Probe,
        user: User,
        differ: (Verdict, Verdict),
    ) -> Option<Cover> {
        let applies = (self.nono, self.ours) == differ && self.user.is_none_or(|u| u == user);
        let operation = self.operations.iter().position(|o| *o == probe.operation);
        let path = self.paths.iter().position(|p| matches(p, &probe.target));
        let (path, operation) = (path?, operation?);
        applies.then_some(Cover { path, operation })
    }
}

/// The parts of a deviation that a probe has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Index of the path.
    pub(crate) path: usize,
    /// Index of the operation.
    pub(crate) operation: usize,
}

fn matches(pattern: &str, target: &str) -> bool {
    match pattern.strip_suffix(BELOW) {
        Some(directory) => Path::new(target).starts_with(directory),
        None => pattern == target,
    }
}

/// The table of docs/parity.md.
pub(crate) fn markdown(deviations: &[Deviation]) -> String {
    let mut text = String::from(
        "| path | operations | nono 0.81 | here | why |\n| --- | --- | --- | --- | --- |\n",
    );
    for deviation in deviations {
        let paths: Vec<String> = deviation.paths.iter().map(|p| format!("`{p}`")).collect();
        let user = match deviation.user {
            Some(User::Root) => " (as root)",
            Some(User::User) => " (as UID 1000)",
            None => "",
        };
        let _ = writeln!(
            text,
            "| {} | {}{user} | {} | {} | {} |",
            paths.join(", "),
            deviation.operations.join(", "),
            deviation.nono,
            deviation.ours,
            deviation.reason,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_this_table() {
        let path = e2e::repository::root().join("docs/parity.md");
        let page = std::fs::read_to_string(path).unwrap();
        let table = markdown(&read().unwrap());
        assert!(
            page.contains(&table),
            "docs/parity.md: replace the table with what `cargo run -p parity -- deviations` prints:\n{table}"
        );
    }

    #[test]
    fn every_deviation_differs_and_says_why() {
        for deviation in read().unwrap() {
            assert_ne!(deviation.nono, deviation.ours, "{:?}", deviation.paths);
            assert!(!deviation.reason.is_empty(), "{:?}", deviation.paths);
        }
    }

    #[test]
    fn a_pattern_stands_for_a_path_or_a_tree() {
        for (pattern, target, expected) in [
            ("/tmp", "/tmp", true),
            ("/tmp", "/tmp/x", false),
            ("/tmp/**", "/tmp", true),
            ("/tmp/**", "/tmp/x/y", true),
            ("/tmp/**", "/tmpfs", false),
            ("~/.local/**", "~/.local/bin", true),
        ] {
            assert_eq!(matches(pattern, target), expected, "{pattern} {target}");
        }
    }
}
