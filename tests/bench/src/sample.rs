//! Samples and rows.

use std::time::Duration;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// Its median, or the one value there is, with unit.
    pub median: String,
    /// Its 99th percentile, with unit.
    pub p99: String,
    /// How it was measured.
    pub remark: String,
}

/// Durations of repeated runs.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Adds a run.
    pub fn add(&mut self, run: Duration) {
        self.0.push(run);
    }

    /// The duration below which `percent` of all runs lie.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }

    /// The row of this sample.
    pub fn row(&self, measure: &str, remark: &str) -> Row {
        Row {
            measure: measure.to_owned(),
            median: micros(self.percentile(50)),
            p99: micros(self.percentile(99)),
            remark: format!("{remark}; {} runs", self.0.len()),
        }
    }
}

/// Microseconds, as the table shows them.
pub fn micros(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}
