//! Debian with coding agents from npm and PyPI, by debootstrap and the registries' own clients.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{ImageConfig, Recipe};
use crate::repository::{Agents, Versions};
use crate::subprocess;

const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(600);
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

const INSTALL: &str = include_str!("agents.sh");

/// Gives the new root processes, devices and this machine's certificates, and runs a command in it. The mounts
/// are in a namespace of their own, so nothing needs to be taken away.
const ENTER: &str = r#"
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
exec chroot "$root" "$@"
"#;

/// What a package manager may need of the environment to reach its registry; nothing else passes.
const PASSED: [&str; 9] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "npm_config_registry",
];

pub(super) fn recipe() -> Result<Recipe> {
    let source = Versions::read()?.agents;
    let key = format!("agents 1 {source:?} {INSTALL} {ENTER}");
    Ok(Recipe {
        key,
        config: ImageConfig::default(),
        fill: Box::new(move |root| fill(root, &source)),
    })
}

fn fill(root: &Path, source: &Agents) -> Result<()> {
    let include = format!("--include={}", source.packages.join(","));
    let target = root.to_string_lossy();
    let arguments = ["--variant=minbase", &include, &source.suite, &target];
    subprocess::text(Path::new("debootstrap"), &arguments, BOOTSTRAP_LIMIT)
        .context("debootstrap failed (it needs root and a Debian mirror)")?;
    install(root, source)
}

fn install(root: &Path, source: &Agents) -> Result<()> {
    const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
    let mut command = Command::new("timeout");
    command
        .arg("--foreground")
        .arg(INSTALL_LIMIT.as_secs().to_string())
        .args(["unshare", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-eu", "-c", ENTER, "enter"])
        .arg(root)
        .args(["sh", "-eu", "-c", INSTALL, "install"])
        .args(&source.pypi)
        .arg("--")
        .args(&source.npm)
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| PASSED.contains(&name.as_str())))
        .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("PIP_CERT", CERTIFICATES)
        .env("NODE_EXTRA_CA_CERTS", CERTIFICATES);
    let output = command.output().context("cannot run unshare")?;
    ensure!(
        output.status.success(),
        "the agents could not be installed (this needs the npm and PyPI registries): {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
