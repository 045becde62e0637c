//! Debian with Python, Node and Go, by debootstrap.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ImageConfig, Recipe};
use crate::repository::{Debian, Versions};
use crate::subprocess;

const LIMIT: Duration = Duration::from_secs(900);

/// Nothing that a test needs, and more than half of the size.
const SUPERFLUOUS: [&str; 11] = [
    "dev",
    "usr/lib/go-1.19/pkg/linux_amd64/cmd",
    "usr/share/doc",
    "usr/share/go-1.19/api",
    "usr/share/go-1.19/src/cmd",
    "usr/share/go-1.19/test",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];

pub(super) fn recipe() -> Result<Recipe> {
    let source = Versions::read()?.debian;
    let key = format!("debian 1 {source:?} {SUPERFLUOUS:?}");
    Ok(Recipe {
        key,
        config: ImageConfig::default(),
        fill: Box::new(move |root| fill(root, &source)),
    })
}

fn fill(root: &Path, source: &Debian) -> Result<()> {
    let include = format!("--include={}", source.packages.join(","));
    let target = root.to_string_lossy();
    let arguments = ["--variant=minbase", &include, &source.suite, &target];
    subprocess::text(Path::new("debootstrap"), &arguments, LIMIT)
        .context("debootstrap failed (it needs root and a Debian mirror)")?;
    for path in SUPERFLUOUS.map(|path| root.join(path)) {
        empty(&path)?;
    }
    Ok(())
}

/// Removes what is in a directory, which itself stays because packages may expect it.
fn empty(directory: &PathBuf) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let removed = if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        removed.with_context(|| format!("cannot remove {}", entry.path().display()))?;
    }
    Ok(())
}
