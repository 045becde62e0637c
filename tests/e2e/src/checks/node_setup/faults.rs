//! Installations that cannot be completed.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{BARE, BASELINE, CONFINED, SANDBOXED, behaves, finish, machine};
use crate::checks::{Check, On, own_on};
use crate::machine::{Machine, SABOTAGE};

pub(super) const NOT_COMING_BACK: Check = own_on(
    On::First,
    "node install: a runtime that does not come back gets its old configuration, and comes back with it",
    not_coming_back,
);
pub(super) const KILLED: Check = own_on(
    On::First,
    "node install: killed before the restart, it can be undone, and it can be repeated",
    killed,
);
pub(super) const READ_ONLY: Check = own_on(
    On::First,
    "node install: a read-only directory is named, and the runtime's configuration stays as it was",
    read_only,
);
pub(super) const FULL: Check = own_on(
    On::First,
    "node install: a full disk is named, and undoing leaves every file as it was",
    full,
);

/// Fails to install, and returns what is said.
fn fails(machine: &Machine, seconds: &str) -> Result<String> {
    let options = machine.install_options(seconds);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = machine.node(&options)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it succeeded: {said}");
    Ok(said)
}

fn not_coming_back(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let before = machine.tree()?;
    machine.write(SABOTAGE, "")?;
    let said = fails(&machine, "3")?;
    for part in [
        "was put back, and the runtime restarted with it",
        "does not answer",
    ] {
        ensure!(said.contains(part), "no {part:?} in {said}");
    }
    behaves(&machine, BASELINE, BARE)?;
    ensure!(
        machine.pod("none", SANDBOXED, &["true"]).is_err(),
        "the handler is there"
    );
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    fs::remove_file(machine.outside(SABOTAGE))?;
    machine
        .install(&[])
        .context("control: without the sabotage")?;
    behaves(&machine, SANDBOXED, CONFINED)?;
    finish(machine)
}

fn killed(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let before = machine.tree()?;
    // The command's parent is the program that installs.
    let suicide = ["--restart-command", "/bin/sh -c 'kill -9 $PPID'"];
    let kill = || -> Result<()> {
        let source = machine.source();
        let options = [&["install", "--source", &source][..], &suicide].concat();
        let output = machine.node(&options)?;
        ensure!(!output.status.success(), "it was not killed");
        let status = machine.node(&["status"])?;
        let said = String::from_utf8_lossy(&status.stdout);
        ensure!(said.contains("was interrupted"), "the status is {said}");
        Ok(())
    };
    kill()?;
    machine.uninstall(&["--restart-command", crate::machine::RESTART])?;
    before.expect(&machine.tree()?)?;
    kill()?;
    let starts = machine.starts()?;
    machine.install(&[])?;
    ensure!(
        machine.starts()? == starts + 1,
        "the restart was not made up for"
    );
    behaves(&machine, SANDBOXED, CONFINED)?;
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    finish(machine)
}

fn read_only(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let before = machine.tree()?;
    let host = machine.host();
    machine.shell(&format!("mount -o remount,bind,ro {host}/etc"))?;
    let said = fails(&machine, "30")?;
    for part in [
        "cannot write /etc/containerd",
        "Read-only file system",
        "--runtime-config",
    ] {
        ensure!(said.contains(part), "no {part:?} in {said}");
    }
    machine.shell(&format!("mount -o remount,bind,rw {host}/etc"))?;
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    finish(machine)
}

fn full(version: &str) -> Result<()> {
    let machine = machine(version)?;
    let before = machine.tree()?;
    let host = machine.host();
    machine.shell(&format!("mount -t tmpfs -o size=64k tmpfs {host}/opt"))?;
    let said = fails(&machine, "30")?;
    for part in [
        "cannot write /opt/nono-nri/nono",
        "make room",
        "No space left on device",
    ] {
        ensure!(said.contains(part), "no {part:?} in {said}");
    }
    let left = machine.shell(&format!("find {host}/opt -type f"))?;
    ensure!(left.is_empty(), "left behind: {left}");
    machine.shell(&format!("umount {host}/opt"))?;
    machine.uninstall(&[])?;
    before.expect(&machine.tree()?)?;
    finish(machine)
}
