//! The C programs inside the images.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::repository;
use crate::subprocess;

/// The source of the assertion tool.
pub(super) const PROBE: &str = "probe.c";
/// The source of the hostile library.
pub(super) const HOSTILE: &str = "hostile.c";

const STATIC: [&str; 2] = ["-static", "-s"];
const SHARED: [&str; 3] = ["-shared", "-fPIC", "-s"];

/// The source text, for a recipe's key.
pub(super) fn source(name: &str) -> Result<String> {
    let path = path(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Links a program that needs nothing from its image.
pub(super) fn compile_static(name: &str, target: &Path) -> Result<()> {
    compile(name, &STATIC, target)
}

/// Links a program that loads the image's C library.
pub(super) fn compile_dynamic(name: &str, target: &Path) -> Result<()> {
    compile(name, &["-s"], target)
}

/// Links a library.
pub(super) fn compile_shared(name: &str, target: &Path) -> Result<()> {
    compile(name, &SHARED, target)
}

fn compile(name: &str, flags: &[&str], target: &Path) -> Result<()> {
    let (source, target) = (path(name), target.to_string_lossy().into_owned());
    let fixed = ["-O1", "-Wall", "-Werror", "-o", &target];
    let source = source.to_string_lossy();
    let arguments: Vec<&str> = fixed
        .iter()
        .chain(flags)
        .copied()
        .chain([&*source])
        .collect();
    subprocess::text(Path::new("gcc"), &arguments, Duration::from_secs(60))
        .map(drop)
        .with_context(|| format!("cannot compile {name}"))
}

/// Where a source lies.
pub(super) fn path(name: &str) -> PathBuf {
    repository::root().join("tests/e2e/probe").join(name)
}
