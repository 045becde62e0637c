//! What went wrong so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the plugin started.
#[derive(Debug, Default)]
pub struct Counters {
    profile_failures: AtomicU64,
}

impl Counters {
    /// How often a profile file, or the directory of profiles, turned out to be unusable.
    pub fn profile_failures(&self) -> u64 {
        self.profile_failures.load(Ordering::Relaxed)
    }

    /// Counts one more; returns how many there are now.
    pub fn profile_failed(&self) -> u64 {
        self.profile_failures.fetch_add(1, Ordering::Relaxed) + 1
    }
}
