//! Calls of cargo that build the way kubefence ships: static, for the host's own triple.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Static glibc: the launcher runs inside images that have no loader, or a hostile one.
const STATIC: &str = "-C target-feature=+crt-static";

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The triple of the machine that builds.
pub(crate) fn host_triple() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// `cargo SUBCOMMAND` with static linking. The explicit target keeps the flags from proc macros.
pub(crate) fn cargo(subcommand: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("RUSTFLAGS", STATIC).args([
        subcommand,
        "--target",
        &host_triple()?,
    ]);
    Ok(command)
}

/// Where cargo puts what it builds for the host's triple under `profile`.
pub(crate) fn artifacts(profile: &str) -> anyhow::Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(host_triple()?).join(profile))
}

/// Runs a command to its end; anything but success is an error that names it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
