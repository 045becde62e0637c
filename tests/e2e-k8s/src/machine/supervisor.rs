//! What systemd is on a real node: restarts containerd when somebody on the node asks for it.
//!
//! A command in /run writes the name of a FIFO into ours, and reads from its own one how it went.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::component::Component;
use super::layout::{RESTART_COMMAND, file};
use super::wait_for_socket;

const REQUESTS: &str = "/run/e2e/requests";
const DONE: &str = "done";

const COMMAND: &str = r#"#!/bin/sh
# Asks for a restart of containerd and waits until it answers again.
set -eu
reply=$(mktemp -u /run/e2e/reply.XXXXXXXX)
mkfifo -m 600 "$reply"
trap 'rm -f "$reply"' EXIT
echo "$reply" > /run/e2e/requests
read -r answer < "$reply"
[ "$answer" = done ] || { echo "$answer" >&2; exit 1; }
"#;

/// Puts the command where `--restart-command` is told to find it.
pub(super) fn write_command() -> Result<()> {
    file(RESTART_COMMAND, COMMAND)?;
    fs::set_permissions(RESTART_COMMAND, Permissions::from_mode(0o755))
        .context("cannot make the restart command executable")
}

/// Serves requests until the machine ends, or /run is made anew.
pub(super) fn watch(containerd: &Arc<Component>) -> Result<()> {
    mknodat(CWD, REQUESTS, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .context("cannot make the supervisor's FIFO")?;
    // Open for writing, too, so that it never ends.
    let requests: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open(REQUESTS)
        .context("cannot open the supervisor's FIFO")?;
    let containerd = Arc::clone(containerd);
    thread::spawn(move || {
        for reply in BufReader::new(requests).lines().map_while(Result::ok) {
            let outcome = containerd
                .restart()
                .and_then(|()| wait_for_socket(&containerd));
            let answer = match outcome {
                Ok(()) => DONE.to_owned(),
                Err(error) => format!("{error:#}").replace('\n', " "),
            };
            if let Err(error) = answer_to(Path::new(&reply), &answer) {
                eprintln!("supervisor: {error:#}");
            }
        }
    });
    Ok(())
}

fn answer_to(reply: &Path, answer: &str) -> Result<()> {
    let mut reply = OpenOptions::new()
        .write(true)
        .open(reply)
        .with_context(|| format!("cannot answer {}", reply.display()))?;
    writeln!(reply, "{answer}").context("cannot answer")
}
