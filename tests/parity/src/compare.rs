//! The comparison: which probes can be compared, where the two agree, and whether every difference is meant.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::deviations::Deviation;
use crate::outcome::Outcome;
use crate::runs::User;
use crate::targets::Probe;

/// One probe by one user, three times.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Who tried.
    pub(crate) user: User,
    /// What was tried.
    #[serde(flatten)]
    pub(crate) probe: Probe,
    /// Without a sandbox.
    pub(crate) bare: Outcome,
    /// Under upstream nono.
    pub(crate) nono: Outcome,
    /// Under our launcher.
    pub(crate) ours: Outcome,
}

/// What a row amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// It fails even without a sandbox, so it tells nothing.
    Incomparable,
    /// Both allow it, or both deny it.
    Agree,
    /// They differ, and are meant to.
    Listed,
    /// They differ, or an outcome is none that a sandbox can cause.
    Unexplained,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// All rows with what they amount to.
    pub(crate) rows: Vec<Classified>,
    /// Parts of listed deviations that no row shows.
    pub(crate) stale: Vec<String>,
}

/// A row and its class.
#[derive(Debug, Serialize)]
pub(crate) struct Classified {
    /// The row.
    #[serde(flatten)]
    pub(crate) row: Row,
    /// What it amounts to.
    pub(crate) class: Class,
}

/// How many rows are of which class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// All but the incomparable ones.
    pub(crate) compared: usize,
    /// [`Class::Agree`].
    pub(crate) agree: usize,
    /// [`Class::Listed`].
    pub(crate) listed: usize,
    /// [`Class::Unexplained`].
    pub(crate) unexplained: usize,
    /// [`Class::Incomparable`].
    pub(crate) incomparable: usize,
}

/// A path or an operation of a deviation, by their indices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Path(usize, usize),
    Operation(usize, usize),
}

/// Compares.
pub(crate) fn compare(rows: Vec<Row>, deviations: &[Deviation]) -> Comparison {
    let mut shown = BTreeSet::new();
    let classify = |row: Row| {
        let class = classify(&row, deviations, &mut shown);
        Classified { row, class }
    };
    let rows = rows.into_iter().map(classify).collect();
    let stale = stale(deviations, &shown);
    Comparison { rows, stale }
}

fn classify(row: &Row, deviations: &[Deviation], shown: &mut BTreeSet<Part>) -> Class {
    if !row.bare.succeeded() {
        // What fails without a sandbox cannot work in one.
        let impossible = row.nono.succeeded() || row.ours.succeeded();
        return if impossible {
            Class::Unexplained
        } else {
            Class::Incomparable
        };
    }
    let (Some(nono), Some(ours)) = (row.nono.verdict(), row.ours.verdict()) else {
        return Class::Unexplained;
    };
    if nono == ours {
        return Class::Agree;
    }
    let mut class = Class::Unexplained;
    for (number, deviation) in deviations.iter().enumerate() {
        if let Some(cover) = deviation.covers(&row.probe, row.user, (nono, ours)) {
            shown.insert(Part::Path(number, cover.path));
            shown.insert(Part::Operation(number, cover.operation));
            class = Class::Listed;
        }
    }
    class
}

fn stale(deviations: &[Deviation], shown: &BTreeSet<Part>) -> Vec<String> {
    let mut stale = Vec::new();
    for (number, deviation) in deviations.iter().enumerate() {
        let paths = deviation.paths.iter().enumerate();
        let unseen = paths.filter(|(i, _)| !shown.contains(&Part::Path(number, *i)));
        stale
            .extend(unseen.map(|(_, path)| format!("{path}: {}", deviation.operations.join(", "))));
        let operations = deviation.operations.iter().enumerate();
        let unseen = operations.filter(|(i, _)| !shown.contains(&Part::Operation(number, *i)));
        stale.extend(unseen.map(|(_, name)| format!("{}: {name}", deviation.paths.join(", "))));
    }
    stale
}

impl Comparison {
    /// The counts.
    pub(crate) fn summary(&self) -> Summary {
        let count = |class| self.rows.iter().filter(|row| row.class == class).count();
        let incomparable = count(Class::Incomparable);
        Summary {
            compared: self.rows.len() - incomparable,
            agree: count(Class::Agree),
            listed: count(Class::Listed),
            unexplained: count(Class::Unexplained),
            incomparable,
        }
    }

    /// Whether every difference is listed, and everything listed is a difference.
    pub(crate) fn holds(&self) -> bool {
        let summary = self.summary();
        summary.unexplained == 0 && summary.compared > 0 && self.stale.is_empty()
    }
}

#[cfg(test)]
mod tests;
