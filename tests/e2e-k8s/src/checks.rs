//! What must hold on a real cluster, in stages: each builds on the one before.
//!
//! A check is a function that returns an error when the promise in its name does not hold. A stage's preparation is run
//! once, and only if one of its checks is selected; when it fails, so do they.

mod by_hand;
mod chart;
mod cluster;
mod confinement;
mod contract;
mod disturbance;
mod plugin;
mod refusal;
mod uninstall;

use anyhow::{Result, anyhow};
use e2e::terminal::progress;

use crate::cli::Selection;
use crate::cluster::Cluster;
use crate::suite::Suite;

/// A promise, and how to find out.
type Check = (&'static str, fn(&Cluster) -> Result<()>);

/// Checks that need the same.
struct Stage {
    name: &'static str,
    prepare: fn(&Cluster) -> Result<()>,
    checks: &'static [Check],
}

const STAGES: [&Stage; 9] = [
    &cluster::STAGE,
    &chart::STAGE,
    &contract::STAGE,
    &plugin::STAGE,
    &confinement::STAGE,
    &refusal::STAGE,
    &disturbance::STAGE,
    &uninstall::STAGE,
    &by_hand::STAGE,
];

/// The lines of all checks, in order.
pub(crate) fn lines() -> Vec<String> {
    let all = STAGES.iter().flat_map(|stage| {
        let checks = stage.checks.iter();
        checks.map(|(name, _)| line(stage, name))
    });
    all.collect()
}

/// Runs what is selected.
pub(crate) fn run(cluster: &Cluster, selection: &Selection, suite: &mut Suite) {
    for stage in STAGES {
        let selected: Vec<&Check> = stage
            .checks
            .iter()
            .filter(|(name, _)| selection.selects(&line(stage, name)))
            .collect();
        if selected.is_empty() {
            continue;
        }
        progress(&format!("{}: preparing", stage.name));
        let prepared = (stage.prepare)(cluster);
        for (name, check) in selected {
            let line = line(stage, name);
            match &prepared {
                Ok(()) => suite.run(&line, || check(cluster)),
                Err(error) => suite.report(&line, Err(anyhow!("not prepared: {error:#}"))),
            }
        }
    }
}

fn line(stage: &Stage, name: &str) -> String {
    format!("{}: {name}", stage.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_checks_have_the_same_line() {
        let lines = lines();
        let distinct: BTreeSet<&String> = lines.iter().collect();
        assert_eq!(distinct.len(), lines.len());
    }

    #[test]
    fn the_contract_has_seventeen_promises() {
        assert_eq!(contract::STAGE.checks.len(), 17);
    }
}
