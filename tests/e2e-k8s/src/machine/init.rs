//! The first process of the node: builds it, starts this program inside, and reaps whatever is orphaned.
//!
//! When it ends, the kernel ends every process of the node, and with the last one go mounts and network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::{cgroup, namespaces, network};
use crate::cli::Selection;

/// Runs the program inside to its end; whether it was content.
pub(crate) fn run(scratch: &Path, selection: &Selection) -> Result<bool> {
    cgroup::join(&cgroup::name_of(scratch))?;
    namespaces::enter(scratch)?;
    network::lay_out()?;
    let mut command = Command::new(std::env::current_exe()?);
    selection.pass_to(&mut command);
    let child = command
        .arg("inside")
        .arg(scratch)
        .spawn()
        .context("cannot start the program inside")?;
    let status = reap_until(Pid::from_child(&child))?;
    Ok(status.exit_status() == Some(0))
}

/// Waits for all children, of whom most are orphans of others, until ours has ended.
fn reap_until(ours: Pid) -> Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == ours => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the program inside"),
        }
    }
}
