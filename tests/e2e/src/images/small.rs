//! Images of a few files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::probe::{self, PROBE};
use super::{ImageConfig, Recipe};
use crate::subprocess;

const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\n";

pub(super) fn busybox() -> Result<Recipe> {
    let applets = subprocess::text(Path::new(BUSYBOX), &["--list"], Duration::from_secs(5))
        .context("busybox-static is not installed: run `cargo xtask setup`")?;
    let version = fs::metadata(BUSYBOX)?.len();
    let key = format!("busybox 2 {version} {applets} {}", probe::source(PROBE)?);
    Ok(Recipe {
        key,
        config: ImageConfig::default(),
        fill: Box::new(move |root| fill_busybox(root, &applets)),
    })
}

/// Busybox, accounts and the directories that programs expect; also the base of the hostile image.
pub(super) fn fill_busybox(root: &Path, applets: &str) -> Result<()> {
    for directory in ["app", "bin", "etc", "root", "usr/local/bin"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::create_dir(root.join("tmp"))?;
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777))?;
    fs::copy(BUSYBOX, root.join("bin/busybox")).context("cannot copy busybox")?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("etc/shadow"), SHADOW)?;
    probe::compile_static(PROBE, &root.join("app/tool"))
}

pub(super) fn scratch() -> Result<Recipe> {
    let key = format!("scratch 1 {}", probe::source(PROBE)?);
    let config = ImageConfig {
        entrypoint: &["/probe"],
        ..ImageConfig::default()
    };
    Ok(Recipe {
        key,
        config,
        fill: Box::new(|root| probe::compile_static(PROBE, &root.join("probe"))),
    })
}

pub(super) fn pause() -> Result<Recipe> {
    let key = format!("pause 1 {}", probe::source(PROBE)?);
    let config = ImageConfig {
        entrypoint: &["/pause", "trap", "0"],
        ..ImageConfig::default()
    };
    Ok(Recipe {
        key,
        config,
        fill: Box::new(|root| probe::compile_static(PROBE, &root.join("pause"))),
    })
}
