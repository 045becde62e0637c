//! `kubefence node install` against a real systemd: a Debian guest in QEMU whose containerd is a unit like any other.
//!
//! What a namespace cannot show is shown here: the restart through D-Bus, units that are not active, units that do not
//! start, and a node whose containers are systemd's own units (`SystemdCgroup`). The processor is
//! emulated, which takes minutes.

mod disk;
mod guest;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cleanup::Territory;
use crate::scratch::Scratch;
use crate::subprocess;
use crate::terminal::progress;

/// How long a guest may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// What became of one check of the guest's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What holds, as a sentence.
    pub name: String,
    /// Why it does not.
    pub failure: Option<String>,
}

/// Boots the guest and returns the outcome of each check.
pub fn run() -> Result<Vec<Outcome>> {
    check_for_qemu()?;
    let base = disk::base()?;
    let scratch = Scratch::create()?;
    let territory = Territory::claim(scratch.path(), &scratch.label());
    let outcome = disk::payload(&scratch).and_then(|payload| {
        progress("booting Debian with systemd in QEMU");
        guest::run(&territory, &base, &payload, LIMIT)
    });
    territory.clear();
    let report = outcome?;
    let outcomes = parse(&report);
    match report.lines().last() {
        Some("end") if !outcomes.is_empty() => Ok(outcomes),
        _ => bail!("the guest ended early; it reported:\n{report}"),
    }
}

/// The lines `ok NAME` and `failed NAME: REASON` of the guest's report.
fn parse(report: &str) -> Vec<Outcome> {
    let outcome = |line: &str| {
        if let Some(name) = line.strip_prefix("ok ") {
            let name = name.to_owned();
            return Some(Outcome {
                name,
                failure: None,
            });
        }
        let (name, reason) = line.strip_prefix("failed ")?.split_once(": ")?;
        Some(Outcome {
            name: name.to_owned(),
            failure: Some(reason.to_owned()),
        })
    };
    report.lines().filter_map(outcome).collect()
}

/// Before anything is made: is there a QEMU?
fn check_for_qemu() -> Result<()> {
    let found = subprocess::output(Path::new("qemu-system-x86_64"), &["--version"], LIMIT);
    let found = found.context("cannot look for QEMU")?;
    match found.status.success() {
        true => Ok(()),
        false => {
            bail!("there is no qemu-system-x86_64: install the Debian package qemu-system-x86")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_line_by_line() {
        let outcomes = parse("ok a holds\nnoise\nfailed b holds: it: does not\nend\n");
        assert_eq!(outcomes.len(), 2);
        assert_eq!(outcomes[0].failure, None);
        assert_eq!(outcomes[1].name, "b holds");
        assert_eq!(outcomes[1].failure.as_deref(), Some("it: does not"));
    }
}
