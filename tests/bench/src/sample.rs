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
    /// No runs yet.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

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

/// The row of what `with` takes longer than `without`.
pub fn difference(measure: &str, without: &Sample, with: &Sample) -> Row {
    let added = with.percentile(50).saturating_sub(without.percentile(50));
    Row {
        measure: measure.to_owned(),
        median: micros(added),
        p99: String::new(),
        remark: format!("difference of the medians; {}", ratio(without, with)),
    }
}

/// The row of what `with` takes longer than `without`, by pairs of runs that followed one another: what they have in
/// common may vary far more than they differ.
pub fn paired(measure: &str, without: &Sample, with: &Sample) -> Row {
    let pairs = without.0.iter().zip(&with.0);
    let mut differences: Vec<i128> = pairs
        .map(|(without, with)| with.as_micros() as i128 - without.as_micros() as i128)
        .collect();
    differences.sort_unstable();
    let median = differences.get(differences.len() / 2);
    Row {
        measure: measure.to_owned(),
        median: format!("{} µs", median.copied().unwrap_or_default()),
        p99: String::new(),
        remark: format!(
            "median of the differences of neighbours; {}",
            ratio(without, with)
        ),
    }
}

/// How the medians compare.
fn ratio(without: &Sample, with: &Sample) -> String {
    let (without, with) = (without.percentile(50), with.percentile(50));
    format!("ratio {:.2}", with.as_secs_f64() / without.as_secs_f64())
}

/// Microseconds, as the table shows them.
pub fn micros(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}
