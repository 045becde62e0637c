//! `cargo xtask bench`: first inside one process, then whole processes.

use crate::cargo::{cargo, run};

/// Runs all benchmarks.
pub(crate) fn bench() -> anyhow::Result<()> {
    run(cargo("bench")?.args(["--package", "bench"]))?;
    run(cargo("run")?.args(["--release", "--quiet", "--package", "bench"]))
}
