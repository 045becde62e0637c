//! One line for each check, and the total, which the process outside completes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, bail};
use e2e::terminal::Style;
use serde::{Deserialize, Serialize};

const FILE: &str = "summary.json";

/// How many checks passed and failed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Summary {
    passed: u32,
    failed: u32,
}

impl Summary {
    /// What the process inside has left.
    pub(crate) fn read(scratch: &Path) -> Result<Self> {
        let path = scratch.join(FILE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot parse {}", path.display()))
    }
}

/// Counts and prints.
pub(crate) struct Suite {
    style: Style,
    summary: Summary,
}

impl Suite {
    /// Goes on counting from what was counted before.
    pub(crate) fn continued(summary: Summary) -> Self {
        Self {
            style: Style::of_stdout(),
            summary,
        }
    }

    /// Runs one check and prints its line; a panic is a failure.
    pub(crate) fn run(&mut self, line: &str, check: impl FnOnce() -> Result<()>) {
        let outcome = catch_unwind(AssertUnwindSafe(check));
        self.report(
            line,
            outcome.unwrap_or_else(|_| bail!("panicked: the message is above")),
        );
    }

    /// Prints the line of a check.
    pub(crate) fn report(&mut self, line: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                self.summary.passed += 1;
                println!("{} {line}", self.style.good("✓"));
            }
            Err(error) => {
                self.summary.failed += 1;
                // One line a check, whatever the error holds.
                let reason = format!("{error:#}").replace('\n', " ⏎ ");
                println!("{} {line}: {reason}", self.style.bad("✗"));
            }
        }
    }

    /// Whether no check failed.
    pub(crate) fn passed(&self) -> bool {
        self.summary.failed == 0
    }

    /// `N passed, N failed`
    pub(crate) fn total(&self) -> String {
        format!(
            "{} passed, {} failed",
            self.summary.passed, self.summary.failed
        )
    }

    /// Leaves the numbers to the process outside.
    pub(crate) fn hand_over(&self, scratch: &Path) -> Result<()> {
        let text = serde_json::to_vec(&self.summary)?;
        fs::write(scratch.join(FILE), text).context("cannot write the summary")
    }
}
