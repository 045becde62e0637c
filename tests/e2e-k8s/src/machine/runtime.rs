//! containerd as its packages leave it: generated configuration, standard paths.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::subprocess;

use super::component::Component;
use super::layout::{CONTAINERD_CONFIG, file};

pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
const CONTAINERD: &str = "/usr/local/bin/containerd";
const CTR: &str = "/usr/local/bin/ctr";
const CALL_LIMIT: Duration = Duration::from_secs(20);
const IMPORT_LIMIT: Duration = Duration::from_secs(300);

/// The generated configuration, with the one change that this machine needs.
pub(super) fn stock_config() -> Result<String> {
    let default = subprocess::text(Path::new(CONTAINERD), &["config", "default"], CALL_LIMIT)?;
    // Lowering oom_score_adj needs CAP_SYS_RESOURCE, which a machine that runs the checks may lack.
    let text = default.replace(
        "restrict_oom_score_adj = false",
        "restrict_oom_score_adj = true",
    );
    ensure!(
        text != default,
        "`containerd config default` has no restrict_oom_score_adj to change"
    );
    Ok(text)
}

pub(super) fn containerd(scratch: &Path) -> Result<Component> {
    // A place for what operators add; the generated configuration imports it.
    file("/etc/containerd/conf.d/.keep", "")?;
    let arguments = vec!["--config".to_owned(), CONTAINERD_CONFIG.to_owned()];
    Ok(Component::new("containerd", arguments, scratch))
}

/// Whether it accepts connections.
pub(super) fn answers() -> bool {
    UnixStream::connect(SOCKET).is_ok()
}

/// Takes an image from an OCI archive, and gives it further names.
pub(crate) fn import(archive: &Path, name: &str, aliases: &[&str]) -> Result<()> {
    let archive = archive.to_string_lossy();
    let import = [
        "--namespace=k8s.io",
        "images",
        "import",
        "--local",
        &archive,
    ];
    subprocess::text(Path::new(CTR), &import, IMPORT_LIMIT)
        .with_context(|| format!("cannot import {name}"))?;
    for alias in aliases {
        let tag = [
            "--namespace=k8s.io",
            "images",
            "tag",
            "--force",
            name,
            alias,
        ];
        subprocess::text(Path::new(CTR), &tag, CALL_LIMIT)
            .with_context(|| format!("cannot call {name} {alias}"))?;
    }
    Ok(())
}
