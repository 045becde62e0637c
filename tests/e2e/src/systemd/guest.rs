//! The guest itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::disk::Base;
use crate::cleanup::Territory;
use crate::wait;

/// Boots, waits until the guest is off, and returns what it has reported on its second serial line.
pub(super) fn run(
    territory: &Territory,
    base: &Base,
    payload: &Path,
    limit: Duration,
) -> Result<String> {
    let scratch = territory.scratch();
    let (console, report) = (scratch.join("console.log"), scratch.join("report.log"));
    // Emulated: KVM inside of virtual machines, where tests tend to run, hangs or fails in its own ways.
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-machine", "q35", "-accel", "tcg", "-cpu", "max"])
        .args([
            "-m",
            "1536",
            "-smp",
            "2",
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
        ])
        .arg("-kernel")
        .arg(base.kernel())
        .arg("-initrd")
        .arg(base.initrd())
        .args([
            "-append",
            "root=/dev/vda rw console=ttyS0 systemd.show_status=0 quiet",
        ])
        .args(["-drive", &drive(&base.disk())])
        .args(["-drive", &drive(payload)])
        .args(["-serial", &format!("file:{}", console.display())])
        .args(["-serial", &format!("file:{}", report.display())]);
    let process = territory.spawn("QEMU", &mut command, &scratch.join("qemu.log"))?;
    let ended = wait::until("the guest to end", limit, || {
        Ok(process.check_alive().is_err().then_some(()))
    });
    let text = fs::read(&report).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).replace('\r', "");
    let tail = || {
        let console = fs::read(&console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        let lines: Vec<&str> = console.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    };
    ended.with_context(|| format!("it reported:\n{text}\nits console ends with:\n{}", tail()))?;
    if !text.ends_with("end\n") {
        eprintln!("the guest's console ends with:\n{}", tail());
    }
    Ok(text)
}

/// A disk that is not written to: what the guest changes is forgotten.
fn drive(disk: &Path) -> String {
    format!("file={},format=raw,if=virtio,snapshot=on", disk.display())
}
