//! What the tests of the Helm chart share: rendering with the pinned helm, reading YAML, and the files that are
//! generated from the chart.
//!
//! Not here: a cluster. The end-to-end suite installs the chart on one.

#![forbid(unsafe_code)]

pub mod generated;
pub mod helm;
pub mod readme;
pub mod yaml;

use std::path::PathBuf;

/// The root of the repository.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path.pop();
    path
}

/// The chart.
pub fn chart() -> PathBuf {
    root().join("deploy/helm/kubefence")
}
