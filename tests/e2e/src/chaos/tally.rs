//! What workers and striker know of one another.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Chaos;
use super::work::Stage;
use crate::terminal::progress;
use crate::wait;

/// A line every so many containers.
const STEP: usize = 50;

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// Containers that were begun.
    pub(super) begun: usize,
    /// Attempts at them.
    pub(super) attempts: usize,
    /// Containers that ran, were joined, and are gone again.
    pub(super) finished: usize,
    /// Strikes that have fallen.
    pub(super) strikes: usize,
    /// Attempts that came to nothing, in words.
    pub(super) refused: Vec<String>,
    /// Processes that said they are bare, by what they sign with.
    pub(super) bare: BTreeSet<String>,
    /// What no disturbance excuses, in words.
    pub(super) problems: Vec<String>,
    is_over: bool,
}

/// The books of one run.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    chaos: &'a Chaos<'a>,
    done: Mutex<Done>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(chaos: &'a Chaos<'a>) -> Self {
        let done = Mutex::new(Done::default());
        Self { chaos, done }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next container, while there is one.
    pub(super) fn next(&self) -> Option<usize> {
        let mut done = self.done();
        let is_over = done.is_over || self.chaos.interrupted.load(Ordering::Relaxed);
        if is_over || done.begun == self.chaos.load.containers {
            return None;
        }
        done.begun += 1;
        Some(done.begun)
    }

    /// One more attempt.
    pub(super) fn attempt(&self) {
        self.done().attempts += 1;
    }

    /// Attempts so far.
    pub(super) fn attempts(&self) -> usize {
        self.done().attempts
    }

    /// A container ran, was joined, and is gone again.
    pub(super) fn finished(&self) {
        let mut done = self.done();
        done.finished += 1;
        if done.finished.is_multiple_of(STEP) {
            progress(&format!(
                "containerd {}, {}: {} of {} containers, {} strikes, {} refused, {} bare",
                self.chaos.containerd,
                self.chaos.disturbance,
                done.finished,
                self.chaos.load.containers,
                done.strikes,
                done.refused.len(),
                done.bare.len(),
            ));
        }
    }

    /// The disturbance has struck.
    pub(super) fn struck(&self) {
        self.done().strikes += 1;
    }

    /// The process that signs with `signature` is bare.
    pub(super) fn bare(&self, signature: String) {
        self.done().bare.insert(signature);
    }

    /// An attempt failed: as it may during this disturbance, or not.
    pub(super) fn failed(&self, name: &str, stage: Stage, error: &anyhow::Error) {
        let line = format!("{name}: {stage}: {error:#}");
        let mut done = self.done();
        if stage.may_be_refused() || self.chaos.disturbance.cuts_calls() {
            done.refused.push(line);
        } else {
            done.problems.push(line);
        }
    }

    /// Something went wrong for which no disturbance is an excuse; ends the run.
    pub(super) fn give_up(&self, name: &str, reason: &str) {
        let mut done = self.done();
        done.problems.push(format!("{name}: {reason}"));
        done.is_over = true;
    }

    /// Ends the run early, unless all is well.
    pub(super) fn stop_unless(&self, well: bool) {
        self.done().is_over |= !well;
    }

    /// Waits until enough has happened; `false` if the work is over before.
    pub(super) fn wait_for(&self, enough: impl Fn(&Done) -> bool, limit: Duration) -> Result<bool> {
        wait::until("the workers", limit, || {
            let done = self.done();
            Ok(match (enough(&done), done.is_over) {
                (true, _) => Some(true),
                (false, over) => over.then_some(false),
            })
        })
    }

    /// Writes down everything that failed, also what may.
    pub(super) fn keep(&self, path: &Path) -> Result<()> {
        let done = self.done();
        let lines = done.refused.iter().chain(&done.problems);
        let text: String = lines.flat_map(|line| [line.as_str(), "\n"]).collect();
        fs::write(path, text).context("cannot keep what failed")
    }

    /// Everything that happened.
    pub(super) fn into_done(self) -> Done {
        self.done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
