//! The end of a container: the real runtime deletes it, then its record goes.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use kubefence_node_files::records::Records;

use crate::command_line::Delete;
use crate::config::Config;
use crate::create::runtime_root;
use crate::sys::Start;

/// How long a record may wait for its container, in seconds: container runtimes give up creating long before.
const GRACE: i64 = 300;

/// Runs the real runtime's delete; returns its exit code.
pub(crate) fn run(config: &Config, request: &Delete, start: &Start) -> anyhow::Result<u8> {
    let status = Command::new(&config.runtime)
        .args(start.argv.iter().skip(1))
        .status()
        .with_context(|| format!("cannot execute the OCI runtime {:?}", config.runtime))?;
    // The container is gone or it is not; that a record could not be removed changes nothing about that, and
    // the next delete sweeps it.
    let _ = forget(config, request);
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        (None, signal) => 128u8.saturating_add(signal.unwrap_or(0).unsigned_abs() as u8),
    })
}

fn forget(config: &Config, request: &Delete) -> anyhow::Result<()> {
    let records = Records::new(config.state_dir.clone());
    let root = runtime_root(config, request.global.root.as_deref())?;
    if let Some(id) = &request.id
        && root.exists()
        && !root.join(id).exists()
    {
        records.remove(&root, id)?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(records.sweep(now.try_into()?, GRACE)?)
}
