//! What a run showed, in words and as a row of docs/security/chaos.md.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::Ordering;

use super::footprint::{containers, divide};
use super::tally::Tally;
use super::{Chaos, Disturbance, Load};

/// The outcome of one run.
#[derive(Clone, Debug)]
pub struct Report {
    containerd: String,
    disturbance: Disturbance,
    load: Load,
    strikes: usize,
    finished: usize,
    refused: usize,
    bare: BTreeSet<String>,
    problems: Vec<String>,
    seconds: u64,
    left: Vec<String>,
    left_by_runtime: Vec<String>,
}

/// What was found once the work was done.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// How long the work took.
    pub(super) seconds: u64,
    /// What is left behind, in words.
    pub(super) left: Vec<String>,
    /// What plugins said at the level of errors.
    pub(super) alarms: Vec<String>,
    /// What bare processes signed with on the host.
    pub(super) bare: BTreeSet<String>,
}

impl Report {
    pub(super) fn new(chaos: &Chaos<'_>, tally: Tally<'_>, ending: Ending) -> Self {
        let done = tally.into_done();
        let mut bare = done.bare;
        bare.extend(ending.bare);
        let mut problems = done.problems;
        let alarms = ending.alarms.iter();
        problems.extend(alarms.map(|line| format!("false alarm: {line}")));
        if chaos.interrupted.load(Ordering::Relaxed) {
            problems.push("interrupted".to_owned());
        }
        let mut report = Self {
            containerd: chaos.containerd.to_owned(),
            disturbance: chaos.disturbance,
            load: chaos.load,
            strikes: done.strikes,
            finished: done.finished,
            refused: done.refused.len(),
            bare,
            problems,
            seconds: ending.seconds,
            left: Vec::new(),
            left_by_runtime: Vec::new(),
        };
        report.add_leftovers(ending.left);
        report
    }

    /// Adds what was left behind. Where containerd itself was cut short, what it leaves is its own affair: it leaves
    /// as much without kubefence.
    pub(super) fn add_leftovers(&mut self, left: Vec<String>) {
        if !self.disturbance.cuts_calls() {
            self.left.extend(left);
            return;
        }
        let (ours, theirs) = divide(left);
        self.left.extend(ours);
        self.left_by_runtime.extend(theirs);
    }

    /// Whether everything ran, confined, and nothing is left.
    pub fn is_good(&self) -> bool {
        self.failures().is_empty()
    }

    /// Everything that is wrong, one line each.
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = Vec::new();
        let wanted = [
            ("containers ran", self.finished, self.load.containers),
            ("strikes fell", self.strikes, self.load.strikes),
        ];
        for (what, is, should) in wanted.into_iter().filter(|(_, is, should)| is != should) {
            failures.push(format!("{is} {what}, not {should}"));
        }
        failures.extend(self.bare.iter().map(|name| format!("bare: {name}")));
        failures.extend(self.problems.iter().cloned());
        failures.extend(self.left.iter().map(|what| format!("left behind: {what}")));
        failures
    }

    /// The heading of [`Report::row`], in Markdown.
    pub fn heading() -> &'static str {
        "| runtime | disturbance | containers that ran | refused, and tried again | processes found bare | left behind | \
         containers of which containerd itself left something |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    }

    /// A row of the table, in Markdown.
    pub fn row(&self) -> String {
        format!(
            "| containerd {} | {}, {} times | {} | {} | {} | {} | {} |",
            self.containerd,
            self.disturbance,
            self.strikes,
            self.finished,
            self.refused,
            self.bare.len(),
            self.left.len(),
            containers(&self.left_by_runtime),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "containerd {}, {} {} times: {} containers ran, {} attempts were refused and tried again, {} processes found bare, \
             {} left behind, {} containers of which containerd itself left something, {} s",
            self.containerd,
            self.disturbance,
            self.strikes,
            self.finished,
            self.refused,
            self.bare.len(),
            self.left.len(),
            containers(&self.left_by_runtime),
            self.seconds,
        )
    }
}

/// All runs together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    containers: usize,
    strikes: usize,
    bare: usize,
    left: usize,
}

impl Total {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.containers += report.finished;
        self.strikes += report.strikes;
        self.bare += report.bare.len();
        self.left += report.left.len();
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} containers, {} strikes: {} processes found bare, {} left behind",
            self.containers, self.strikes, self.bare, self.left
        )
    }
}
