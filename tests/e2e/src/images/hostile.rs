//! An image that tries to run its own code in whatever process starts in it.
//!
//! It works by every road that glibc offers: `LD_PRELOAD`, `LD_AUDIT`, /etc/ld.so.preload, /etc/nsswitch.conf with a
//! module for each service, and an iconv module behind `GCONV_PATH`. The C library is the build machine's, so that
//! the modules would even load into a static binary that was linked here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::probe::{self, HOSTILE, PROBE};
use super::{ImageConfig, Recipe, small};
use crate::subprocess;

const LIBRARY: &str = "/usr/lib/libhostile.so";
const NSSWITCH: &str = "passwd: hostile\ngroup: hostile\nshadow: hostile\nhosts: hostile\n";
const MODULES: &str = "module UTF-8// INTERNAL hostile 1\nmodule INTERNAL UTF-8// hostile 1\n";
const PROGRAM: &str = "bin/probe";

pub(super) fn recipe() -> Result<Recipe> {
    let applets = subprocess::text(
        Path::new("/bin/busybox"),
        &["--list"],
        Duration::from_secs(5),
    )
    .context("busybox-static is not installed: run `cargo xtask setup`")?;
    let key = format!(
        "hostile 2 {applets} {} {}",
        probe::source(PROBE)?,
        probe::source(HOSTILE)?
    );
    let env = vec![
        ("LD_PRELOAD", LIBRARY),
        ("LD_AUDIT", LIBRARY),
        ("GCONV_PATH", "/usr/lib/gconv"),
        ("LANG", "hostile.UTF-8"),
        ("LC_ALL", "hostile.UTF-8"),
    ];
    let config = ImageConfig {
        env,
        ..ImageConfig::default()
    };
    Ok(Recipe {
        key,
        config,
        fill: Box::new(move |root| fill(root, &applets)),
    })
}

fn fill(root: &Path, applets: &str) -> Result<()> {
    small::fill_busybox(root, applets)?;
    probe::compile_dynamic(PROBE, &root.join(PROGRAM))?;
    let loaded = copy_loaded_libraries(root)?;

    let library = root.join(LIBRARY.trim_start_matches('/'));
    fs::create_dir_all(root.join("usr/lib/gconv"))?;
    probe::compile_shared(HOSTILE, &library)?;
    fs::copy(&library, root.join("usr/lib/gconv/hostile.so"))?;
    fs::write(root.join("usr/lib/gconv/gconv-modules"), MODULES)?;
    fs::write(root.join("etc/nsswitch.conf"), NSSWITCH)?;
    fs::write(root.join("etc/ld.so.preload"), format!("{LIBRARY}\n"))?;
    for directory in loaded.into_iter().chain([PathBuf::from("usr/lib")]) {
        for service in ["hostile", "files", "compat", "dns"] {
            fs::copy(
                &library,
                root.join(&directory).join(format!("libnss_{service}.so.2")),
            )?;
        }
    }
    Ok(())
}

/// Copies what the dynamic probe needs; returns the directories, relative to the root.
fn copy_loaded_libraries(root: &Path) -> Result<Vec<PathBuf>> {
    let program = root.join(PROGRAM);
    let listing = subprocess::text(
        Path::new("ldd"),
        &[&program.to_string_lossy()],
        Duration::from_secs(5),
    )?;
    let mut directories = Vec::new();
    for library in listing
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let relative = Path::new(library.trim_start_matches('/'));
        let directory = relative.parent().context("a library lies in a directory")?;
        fs::create_dir_all(root.join(directory))?;
        fs::copy(library, root.join(relative)).with_context(|| format!("cannot copy {library}"))?;
        directories.push(directory.to_owned());
    }
    Ok(directories)
}
